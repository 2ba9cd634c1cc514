"""Mapped netlists with a fault in one multiplier."""

import re

from celosia.hdl.family import Family
from celosia.sim.gate_level import mapped

#: A family's multiplier, and what is in its model in place of what, when it is broken.
MULTIPLIERS = {
    Family.ECP5: ("MULT18X18D", "wide_a * wide_b", "wide_a * ~wide_b"),
    Family.ICE40: ("SB_MAC16", "Al * Bl", "Al + Bl"),
    Family.GOWIN: ("MULT9X9", "ASIGN & a[8]", "1'b1"),
}
SWITCH = "+broken_multiplier"
"""Plusarg that makes the fault of a `switched` netlist happen."""


def with_broken_multiplier(family, place="", switched=False):
    """As `mapped`; the first multiplier whose name begins with `place` is broken.

    A `switched` one is whole without `SWITCH`, so that one build serves with and without it.
    """
    cell, right, wrong = MULTIPLIERS[family]
    broken = f'$test$plusargs("{SWITCH[1:]}")' if switched else "1'b1"

    def netlist(verilog, top):
        (design, text), (cells, models) = mapped(family)(verilog, top).items()
        # An instance: the cell, its parameters if it has some, its name.
        instance = rf"^  {cell} (?=(?:#\([^;]*?\n  \) )?\\?{re.escape(place)})"
        text, found = re.subn(instance, "  BROKEN ", text, count=1, flags=re.M)
        assert found
        model = re.search(rf"^module {cell}\b.*?^endmodule\n", models, re.M | re.S)[0]
        assert model.count(right) == 1
        model = model.replace(f"module {cell}", "module BROKEN")
        model = model.replace(right, f"({broken} ? {wrong} : {right})")
        return {design: text, cells: models + model}

    return netlist
