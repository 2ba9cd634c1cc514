"""The emulator's draws in gateware: the hash of `celosia.golden.crossbar.emulator`, in stages."""

from amaranth.hdl import Const, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.emulation import MASK

__all__ = ["Draw"]

LATENCY = 3


def _mixed(m: Module, word: Value, name: str) -> Value:
    """Two rounds of the hash."""
    for turn in range(2):
        lifted = Signal(32, name=f"{name}_{turn}")
        m.d.comb += lifted.eq(word + (word << 10))
        word = lifted ^ (lifted >> 6)
    return word


def _constant(seed: int, purpose: int) -> int:
    """The hash of the first word, which never changes."""
    word = (seed + purpose) & MASK
    for _ in range(2):
        word = (word + (word << 10)) & MASK
        word ^= word >> 6
    return word


class Draw(wiring.Component):
    """A deviate from -510 to 510 for a place and a number, `LATENCY` cycles after both.

    A new pair may come every cycle.

    Parameters
    ----------
    seed, purposes : int, tuple of int
        Of the hash; ``purpose`` chooses among the latter.

    Members
    -------
    purpose : In
        Index into ``purposes``.
    place, number : In(32)
        What is drawn for.
    hashed : Out(32)
        The hash, in the cycle of ``deviate``.
    deviate : Out(signed(11))
        Sum of its four bytes less 510.
    """

    def __init__(self, seed: int, purposes: tuple[int, ...]) -> None:
        self._constants = [_constant(seed, purpose) for purpose in purposes]
        super().__init__(
            {
                "purpose": In(range(max(2, len(purposes)))),
                "place": In(32),
                "number": In(32),
                "hashed": Out(32),
                "deviate": Out(signed(11)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        constant = Signal(32)
        with m.Switch(self.purpose):
            for index, value in enumerate(self._constants):
                with m.Case(index):
                    m.d.comb += constant.eq(Const(value, 32))
        placed, number, numbered = Signal(32), Signal(32), Signal(32)
        begun = Signal(32)
        m.d.comb += begun.eq(constant + self.place)
        m.d.sync += [placed.eq(_mixed(m, begun, "place_mix")), number.eq(self.number)]
        joined = Signal(32)
        m.d.comb += joined.eq(placed + number)
        m.d.sync += numbered.eq(_mixed(m, joined, "number_mix"))
        last, folded = Signal(32), Signal(32)
        m.d.comb += [last.eq(numbered + (numbered << 3)), folded.eq(last ^ (last >> 11))]
        m.d.sync += self.hashed.eq(folded + (folded << 15))
        byte = [self.hashed[8 * i : 8 * i + 8] for i in range(4)]
        m.d.comb += self.deviate.eq((byte[0] + byte[1] + byte[2] + byte[3]).as_signed() - 510)
        return m
