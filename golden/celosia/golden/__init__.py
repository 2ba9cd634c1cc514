"""Specification and golden model of Celosia: what the hardware must do, in pure Python and numpy."""
