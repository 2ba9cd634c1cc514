"""The link between host and board: what its frames are, for driver, gateware and docs alike."""
