"""Simulation of Celosia's gateware in Verilator under cocotb."""
