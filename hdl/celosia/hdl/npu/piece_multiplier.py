"""One product of up to 18 x 18 bits, with the registers that multiplier blocks have."""

from amaranth.hdl import Module, Shape
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.family import Family
from celosia.hdl.npu.multiplier_primitives import mult18x18d
from celosia.hdl.npu.pipeline import delayed_while

__all__ = ["PieceMultiplier"]


class PieceMultiplier(wiring.Component):
    """A product in a register, and its factors too where they are ``held``.

    On an ECP5 they are the registers of a MULT18X18D: those beside it would need wires of their
    own, and Yosys puts none inside. Elsewhere synthesis finds a form.

    Latency: 2 enabled cycles, or 1 where the factors aren't held. Throughput: one each.

    Parameters
    ----------
    a, b : Shape
        Of the factors: at most 18 bits each, signed or not.
    held : bool
        Whether the factors have a register.
    family : Family, optional
        Of the FPGA; None leaves the form to synthesis.

    Members
    -------
    enable : In(1)
        Move at this clock edge; all keep their values otherwise.
    a, b : In
        Factors.
    product : Out(signed)
        Their product, exactly.
    """

    def __init__(self, a, b, *, held, family=None):
        self._held = held
        self._family = family
        is_signed = a.signed or b.signed
        super().__init__(
            {
                "enable": In(1),
                "a": In(a),
                "b": In(b),
                "product": Out(Shape(a.width + b.width, is_signed)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if self._family is Family.ECP5:
            registers = ("INPUTA", "INPUTB", "OUTPUT") if self._held else ("OUTPUT",)
            m.submodules.multiplier, product = mult18x18d(
                self.a, self.b, enables=(self.enable,), registers=dict.fromkeys(registers, 0)
            )
            m.d.comb += self.product.eq(product)
            return m
        a, b = (
            delayed_while(m, self.enable, factor, int(self._held), f"held_{name}")
            for name, factor in (("a", self.a), ("b", self.b))
        )
        m.d.comb += self.product.eq(delayed_while(m, self.enable, a * b, 1, "product"))
        return m
