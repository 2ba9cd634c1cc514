"""What every form of an int8 multiplier has in common: its ports and its timing."""

from amaranth.hdl import signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["PRODUCT_BITS", "multiplier_lane"]

PRODUCT_BITS = 16
"""Width that holds every product of two int8."""


def multiplier_lane():
    """Factors and product, seen from who gives the factors.

    At an enabled edge ``a`` is taken, and ``b`` if ``take`` is set; at the next one their product
    is, and is offered until the one after that. ``take`` must not be set at other edges: then it
    is a register's enable as it comes.
    """
    return wiring.Signature(
        {
            "a": Out(signed(8)),
            "b": Out(signed(8)),
            "take": Out(1),
            "product": In(signed(PRODUCT_BITS)),
        }
    )
