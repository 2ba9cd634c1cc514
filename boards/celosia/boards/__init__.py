"""FPGA boards that carry Celosia."""
