"""cocotb benches, one module a block; they run inside the simulator."""
