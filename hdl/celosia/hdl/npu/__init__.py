"""The NPU's gateware: one module for each block of the hardware."""
