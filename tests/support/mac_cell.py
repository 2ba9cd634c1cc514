"""A cell of the systolic array with a multiplier of its own."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from celosia.hdl.npu.multipliers import EXPRESSIONS, MultiplierBank
from celosia.hdl.npu.processing_element import ProcessingElement


class MacCell(wiring.Component):
    """`ProcessingElement` and multiplier; ``swap`` takes the shadow's weight into use."""

    def __init__(self, *, sum_bits):
        self._element = ProcessingElement(sum_bits=sum_bits)
        members = dict(self._element.signature.members)
        del members["shadow"], members["product"]
        super().__init__({**members, "swap": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.element = element = self._element
        m.submodules.multipliers = multipliers = MultiplierBank(products=1, plan=EXPRESSIONS)
        for name in ("enable", "i_activation", "i_sum", "load", "weight"):
            m.d.comb += getattr(element, name).eq(getattr(self, name))
        m.d.comb += [
            multipliers.enable.eq(self.enable),
            multipliers.a[0].eq(self.i_activation),
            multipliers.b[0].eq(element.shadow),
            multipliers.take[0].eq(self.swap & self.enable),
            element.product.eq(multipliers.product[0]),
            self.o_activation.eq(element.o_activation),
            self.o_sum.eq(element.o_sum),
        ]
        return m
