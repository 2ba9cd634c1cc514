"""Multiplier primitives of FPGA families, with their registers.

Instances, because inference fails: Yosys takes no register into the primitives of ECP5 and Gowin,
and loses registers of cascaded multiply-accumulates where it does, on iCE40.
"""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.npu.multiplier_lane import multiplier_lane

__all__ = [
    "Ecp5Multiplier",
    "GowinMultiplier",
    "Ice40MultiplierPair",
    "Ice40PairSum",
    "mult18x18d",
]


class _Primitive(wiring.Component):
    LANES = 1

    def __init__(self):
        lanes = {f"lane_{number}": In(multiplier_lane()) for number in range(self.LANES)}
        super().__init__({"enable": In(1), **lanes})

    def _held(self, m, value, name, enable):
        register = Signal(signed(8), name=name, reset_less=True)
        with m.If(enable):
            m.d.sync += register.eq(value)
        return register


MULT18X18D_BITS = 18


def mult18x18d(a, b, *, enables, registers):
    """A MULT18X18D of an ECP5 and its product of 36 bits (Lattice FPGA-TN-02205).

    Parameters
    ----------
    a, b : Value
        Factors of at most 18 bits, each signed or not.
    enables : tuple of Value
        Up to four.
    registers : mapping
        Which of INPUTA, INPUTB and OUTPUT have a register, and the number of its enable.
    """
    product = Signal(2 * MULT18X18D_BITS)
    ports = {}
    for name, factor in (("A", a), ("B", b), ("C", Const(0, 1))):
        for place in range(MULT18X18D_BITS):
            bit = factor[min(place, len(factor) - 1)]
            beyond = place >= len(factor) and not factor.shape().signed
            ports[f"i_{name}{place}"] = Const(0) if beyond else bit
    for place in range(len(product)):
        ports[f"o_P{place}"] = product[place]
    # What no register looks at stays open: each of these zeros would be a wire.
    for number, enable in enumerate(enables):
        ports[f"i_CE{number}"] = enable
    for register, enable in registers.items():
        ports[f"p_REG_{register}_CLK"] = "CLK0"
        ports[f"p_REG_{register}_CE"] = f"CE{enable}"
        ports[f"p_REG_{register}_RST"] = "RST0"
    cell = Instance(
        "MULT18X18D",
        **ports,
        i_CLK0=ClockSignal(),
        i_RST0=Const(0),
        i_SIGNEDA=Const(a.shape().signed),
        i_SIGNEDB=Const(b.shape().signed),
        i_SOURCEA=Const(0),
        i_SOURCEB=Const(0),
    )
    return cell, product


class Ecp5Multiplier(_Primitive):
    """One product in a MULT18X18D, all of its registers inside.

    The factors are its upper bits, so that the lower ones need no routing (Lattice FPGA-TN-02205).
    Members as of `CarryChainMultiplier`.
    """

    def elaborate(self, platform):
        m = Module()
        lane = self.lane_0
        zeros = Const(0, MULT18X18D_BITS - 8)
        m.submodules.multiplier, product = mult18x18d(
            Cat(zeros, lane.a).as_signed(),
            Cat(zeros, lane.b).as_signed(),
            enables=(self.enable, lane.take),
            registers={"INPUTA": 0, "INPUTB": 1, "OUTPUT": 0},
        )
        m.d.comb += lane.product.eq(product[20:])
        return m


class GowinMultiplier(_Primitive):
    """One product in a MULT9X9 with the registers of its first factor and of its output.

    Its registers share one enable, so the second factor's stands outside.
    Members as of `CarryChainMultiplier`.
    """

    def elaborate(self, platform):
        m = Module()
        lane = self.lane_0
        b = self._held(m, lane.b, "b", lane.take)
        product = Signal(18)
        m.submodules.multiplier = Instance(
            "MULT9X9",
            p_AREG=Const(1, 1),
            p_BREG=Const(0, 1),
            p_OUT_REG=Const(1, 1),
            p_PIPE_REG=Const(0, 1),
            p_ASIGN_REG=Const(0, 1),
            p_BSIGN_REG=Const(0, 1),
            p_SOA_REG=Const(0, 1),
            p_MULT_RESET_MODE="SYNC",
            i_A=Cat(lane.a, lane.a[-1]),
            i_B=Cat(b, b[-1]),
            i_SIA=Const(0, 9),
            i_SIB=Const(0, 9),
            i_ASIGN=Const(1),
            i_BSIGN=Const(1),
            i_ASEL=Const(0),
            i_BSEL=Const(0),
            i_CE=self.enable,
            i_CLK=ClockSignal(),
            i_RESET=Const(0),
            o_DOUT=product,
        )
        m.d.comb += lane.product.eq(product[:16])
        return m


def _mac16(m, a, b, enable, **options):
    """A SB_MAC16 with two 8 x 8 bit multipliers and registers of the first factors and of both
    products; returns its outputs."""
    outputs = Signal(32)
    off = ("AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT")
    off += ("OLOADTOP", "OLOADBOT", "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT")
    off += ("CI", "ACCUMCI", "SIGNEXTIN")
    ports = {f"i_{name}": Const(0) for name in off}
    ports |= {"i_C": Const(0, 16), "i_D": Const(0, 16)}
    ports |= {"p_TOPOUTPUT_SELECT": Const(2, 2), "p_BOTOUTPUT_SELECT": Const(2, 2)}
    m.submodules.multiplier = Instance(
        "SB_MAC16",
        p_MODE_8x8=Const(1, 1),
        p_A_REG=Const(1, 1),
        p_A_SIGNED=Const(1, 1),
        p_B_SIGNED=Const(1, 1),
        p_TOP_8x8_MULT_REG=Const(1, 1),
        p_BOT_8x8_MULT_REG=Const(1, 1),
        i_CLK=ClockSignal(),
        i_CE=enable,
        i_A=a,
        i_B=b,
        o_O=outputs,
        **(ports | options),
    )
    return outputs[:16], outputs[16:]


class Ice40MultiplierPair(_Primitive):
    """Two products in a SB_MAC16, with registers of the first factors and of the products.

    Its register of second factors holds both at once, so theirs stand outside.
    Members as of `CarryChainMultiplier`, with a `lane_1`.
    """

    LANES = 2

    def elaborate(self, platform):
        m = Module()
        lanes = self.lane_0, self.lane_1
        b = [self._held(m, lane.b, f"b_{i}", lane.take) for i, lane in enumerate(lanes)]
        products = _mac16(m, Cat(lane.a for lane in lanes), Cat(*b), self.enable)
        m.d.comb += [
            lane.product.eq(product) for lane, product in zip(lanes, products, strict=True)
        ]
        return m


class Ice40PairSum(wiring.Component):
    """The sum of two products in a SB_MAC16, with all registers inside.

    Latency: 3 enabled cycles. Members as of `ProductPairs`, for one pair.
    """

    def __init__(self):
        super().__init__(
            {
                "enable": In(1),
                "a": In(16),
                "b": In(16),
                "take": In(1),
                "sum": Out(signed(17)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        upper = Signal(16)
        low, high = _mac16(
            m,
            self.a,
            self.b,
            self.enable,
            p_B_REG=Const(1, 1),
            i_BHOLD=~self.take,
            # The lower half adds the upper one's product to its own, in a register.
            i_D=upper,
            p_BOTADDSUB_LOWERINPUT=Const(1, 2),
            p_BOTADDSUB_UPPERINPUT=Const(1, 1),
            p_BOTOUTPUT_SELECT=Const(1, 2),
        )
        # It has 16 bits. Two products lie between -2 * 128 * 127 and 2 * 128 * 128, so that what
        # looks like numbers below that is the upper end.
        sign = low[-1] & low[8:15].any()
        m.d.comb += [upper.eq(high), self.sum.eq(Cat(low, sign))]
        return m
