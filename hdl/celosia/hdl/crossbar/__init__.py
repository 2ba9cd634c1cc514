"""Gateware of the memristor crossbar."""
