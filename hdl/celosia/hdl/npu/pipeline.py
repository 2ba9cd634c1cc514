"""Plumbing for pipelines."""

from amaranth.hdl import Signal

__all__ = ["delayed", "delayed_while"]


def delayed(m, value, cycles, name, *, reset_less=True):
    """``value`` as it was ``cycles`` clock cycles ago."""
    for cycle in range(1, cycles + 1):
        copy = Signal.like(value, name=f"{name}_{cycle}", reset_less=reset_less)
        m.d.sync += copy.eq(value)
        value = copy
    return value


def delayed_while(m, enable, value, cycles, name, *, reset_less=True):
    """``value`` as it was ``cycles`` cycles with ``enable`` ago."""
    for cycle in range(1, cycles + 1):
        copy = Signal.like(value, name=f"{name}_{cycle}", reset_less=reset_less)
        with m.If(enable):
            m.d.sync += copy.eq(value)
        value = copy
    return value
