"""Gateware of Celosia in Amaranth."""
