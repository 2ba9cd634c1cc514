"""The memristor crossbar: its specification, and models of devices, arrays and the controller."""
