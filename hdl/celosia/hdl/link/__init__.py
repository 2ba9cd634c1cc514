"""The host link: UART, frames, commands on the host bus."""
