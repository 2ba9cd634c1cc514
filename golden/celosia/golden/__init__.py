"""Specification and golden model of Celosia: what the hardware must do, in Python and numpy."""
