"""Models of memristive devices: presets, devices of one's own, and the cells made of them."""
