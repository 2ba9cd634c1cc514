"""Plumbing for pipelines."""

from amaranth.hdl import Mux, Signal

__all__ = ["delayed", "delayed_while", "held_unless"]


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


def held_unless(m, moves, value, number):
    """``value`` as it was in the last cycle with ``moves``, which may be this one."""
    held = Signal.like(value, name=f"held_{number}", reset_less=True)
    offered = Signal.like(value, name=f"offered_{number}")
    m.d.comb += offered.eq(Mux(moves, value, held))
    m.d.sync += held.eq(offered)
    return offered
