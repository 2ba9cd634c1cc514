"""Devices, reports and the command line of Celosia."""
