"""The front-end port on a dozen pins: a chain of shift registers, two DACs and serial ADCs."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CODE_BITS, VOLTAGE_BITS, CrossbarConfig
from celosia.golden.crossbar.front_end import BiasMode, port_widths
from celosia.hdl.crossbar.controller import Controller, pass_on
from celosia.hdl.crossbar.interfaces import FrontEndSignature

__all__ = [
    "CONVERTER_BITS",
    "PINS",
    "SELECT_FIELDS",
    "ControllerOnPins",
    "PinFrontEnd",
    "PinSignature",
    "select_chain",
]

CONVERTER_BITS = 16
"""Clocks of a frame of either converter: four that carry no code, then 12 bits, highest first
(DAC121S101, Texas Instruments SNAS265, section 8.5; AD7476A, Analog Devices' data sheet, "Serial
interface")."""

SELECT_FIELDS = ("rows", "column", "group", "tile", "mode", "biasing", "range", "gain")
"""Levels of the front-end port that reach the array through the chain of shift registers."""


PINS = {
    "select_data": ("selection 1", "a bit for the chain of shift registers (74HC595: SER)"),
    "select_clock": ("selection 2", "its rise takes the bit (SRCLK)"),
    "select_latch": ("selection 3", "its rise changes all outputs of the chain (RCLK)"),
    "enable": ("selection 4", "lines are driven as the chain says; low: every switch open"),
    "pulse": ("selection 7", "the selected lines are driven with the DACs' voltages"),
    "hold": ("selection 8", "its rise holds the currents of all columns, until its fall"),
    "dac_sync_n": ("Pmod DA2 1", "frames the codes of both DACs"),
    "dac_data": ("Pmod DA2 2, 3", "bit 0: the word line's code; bit 1: that of bit or source line"),
    "dac_clock": ("Pmod DA2 4", "its fall takes a bit"),
    "adc_cs_n": ("Pmod AD1 1", "its fall samples and begins a conversion"),
    "adc_data": ("Pmod AD1 2, 3", "a bit of each converter"),
    "adc_clock": ("Pmod AD1 4", "its fall brings the next bit"),
}
"""Where each pin goes, and what it means. The selection board is the user's own."""


class PinSignature(wiring.Signature):
    """Pins of the front end, seen from the FPGA; `PINS` says what each is for."""

    def __init__(self, config: CrossbarConfig) -> None:
        super().__init__(
            {
                "select_data": Out(1),
                "select_clock": Out(1),
                "select_latch": Out(1),
                "enable": Out(1),
                "pulse": Out(1),
                "hold": Out(1),
                "dac_sync_n": Out(1, init=1),
                "dac_clock": Out(1, init=1),
                "dac_data": Out(2),
                "adc_cs_n": Out(1, init=1),
                "adc_clock": Out(1, init=1),
                "adc_data": In(config.adcs),
            }
        )


def select_chain(config: CrossbarConfig) -> data.StructLayout:
    """The chain's outputs once they are latched: field by field from the last bit that went in.

    A chain is never shorter than a frame of the DACs; `pad` fills it up.
    """
    widths = port_widths(config)
    fields = {name: widths[name] for name in SELECT_FIELDS}
    return data.StructLayout({**fields, "pad": max(0, CONVERTER_BITS - sum(fields.values()))})


class Action(enum.Enum, shape=2):
    """Why the chain is shifted."""

    WRITE = 0
    HOLD = 1
    CONVERT = 2


class PinFrontEnd(wiring.Component):
    """Stands behind the controller's port and serves it with serial converters.

    A write shifts the lines' selection through the chain and the two codes into the DACs at the
    same time, latches, settles and is `ready`; the pulse follows the port's by one cycle. An
    `integrate` shifts and settles too, then `hold` rises. A `convert` shifts the group, settles,
    and makes one frame of the ADCs. In the cycle after mode SAFE every output is at rest, whatever
    was under way.

    A code of the DACs has `VOLTAGE_BITS` bits, and stands at the upper end of their 12: full scale
    is 2^10 codes. Of the ADCs' 12 bits the upper `adc_bits` count; all ones are `saturated`.

    Latency: a bit takes 2 x `divider` cycles. A write or an integrate takes as many bits as
    `select_chain` has, a latch of `divider` cycles, `settle` cycles and 3 more; a convert 16 bits
    beyond that.

    Parameters
    ----------
    config : CrossbarConfig
        Sizes of the tiles.
    divider : int
        Cycles of half a bit: at most 30 MHz for a DAC121S101, 20 MHz for an AD7476A.
    settle : int
        Cycles from new levels to lines that hold still: the DAC121S101 takes 8 us (typical).

    Members
    -------
    port : In(FrontEndSignature(config))
        The controller.
    pins : Out(PinSignature(config))
        All outputs are registers.
    """

    def __init__(self, config: CrossbarConfig, *, divider: int, settle: int) -> None:
        self._config = config
        self._divider = divider
        self._settle = settle
        super().__init__({"port": In(FrontEndSignature(config)), "pins": Out(PinSignature(config))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, port, pins = self._config, self.port, self.pins
        layout = select_chain(config)
        length = layout.size
        safe = port.mode == BiasMode.SAFE.value
        reading = port.mode == BiasMode.READ.value

        action = Signal(Action)
        chain = Signal(length)
        dacs = Signal(data.ArrayLayout(CONVERTER_BITS, 2))
        samples = Signal(data.ArrayLayout(CODE_BITS, config.adcs))
        level = Signal(init=1)
        timer = Signal(range(max(self._divider, self._settle) + 1))
        left = Signal(range(max(length, CONVERTER_BITS) + 1))
        idle, biased = Signal(), Signal()
        m.d.comb += [
            port.ready.eq(safe | reading & idle | biased),
            pins.select_data.eq(chain[-1]),
            pins.dac_data.eq(Cat(dacs[0][-1], dacs[1][-1])),
        ]
        for lane in range(config.adcs):
            code = samples[lane] >> (CODE_BITS - config.adc_bits)
            m.d.comb += [
                port.codes[lane].eq(code),
                port.saturated[lane].eq(code == (1 << config.adc_bits) - 1),
            ]

        def begin(reason: Action) -> None:
            """Load the chain and go."""
            m.d.sync += [
                action.eq(reason),
                chain.eq(Cat(getattr(port, name) for name in SELECT_FIELDS)),
                left.eq(length - 1),
                timer.eq(self._divider - 1),
            ]
            m.next = "SHIFT"

        def leave() -> None:
            """At the end of a state: mode SAFE ends what is under way."""
            with m.If(safe):
                m.next = "IDLE"

        def bits(falling: object, rising: object, then: str, wait: int) -> None:
            """A frame's bits: `level` falls in the middle of each and rises between two."""
            m.d.sync += timer.eq(timer - 1)
            with m.If(timer == 0):
                m.d.sync += [timer.eq(self._divider - 1), level.eq(~level)]
                with m.If(level):
                    m.d.sync += falling
                with m.Elif(left == 0):
                    m.d.sync += timer.eq(wait)
                    m.next = then
                with m.Else():
                    m.d.sync += [left.eq(left - 1), *rising]

        with m.FSM(name="pins"):
            with m.State("IDLE"):
                m.d.comb += idle.eq(1)
                with m.If(~safe & ~reading):
                    m.d.sync += [
                        dacs[0].eq(port.word_line << (CODE_BITS - VOLTAGE_BITS)),
                        dacs[1].eq(port.line << (CODE_BITS - VOLTAGE_BITS)),
                        pins.dac_sync_n.eq(0),
                    ]
                    begin(Action.WRITE)
                with m.Elif(reading & port.integrate):
                    m.d.sync += pins.hold.eq(0)
                    begin(Action.HOLD)
                with m.Elif(reading & port.convert):
                    begin(Action.CONVERT)
            with m.State("SHIFT"):
                shifted = [chain.eq(chain << 1), *(dacs[k].eq(dacs[k] << 1) for k in range(2))]
                # The DACs have their codes after 16 bits, while the chain may be longer.
                with m.If((timer == 0) & ~level & (left == length - CONVERTER_BITS)):
                    m.d.sync += pins.dac_sync_n.eq(1)
                bits([], shifted, "LATCH", self._divider)
                with m.If(timer == 0):
                    m.d.sync += pins.select_clock.eq(level)
                    with m.If(action == Action.WRITE):
                        m.d.sync += pins.dac_clock.eq(~level)
                leave()
            with m.State("LATCH"):
                m.d.sync += [pins.select_latch.eq(timer != 0), timer.eq(timer - 1)]
                with m.If(timer == 0):
                    m.d.sync += [pins.enable.eq(1), timer.eq(self._settle)]
                    m.next = "SETTLE"
                leave()
            with m.State("SETTLE"):
                m.d.sync += timer.eq(timer - 1)
                with m.If(timer == 0):
                    with m.Switch(action):
                        with m.Case(Action.WRITE):
                            m.next = "BIASED"
                        with m.Case(Action.HOLD):
                            m.d.sync += pins.hold.eq(1)
                            m.next = "IDLE"
                        with m.Case(Action.CONVERT):
                            m.d.sync += [
                                pins.adc_cs_n.eq(0),
                                left.eq(CONVERTER_BITS - 1),
                                timer.eq(self._divider - 1),
                            ]
                            m.next = "CONVERT"
                leave()
            with m.State("BIASED"):
                m.d.comb += biased.eq(1)
                leave()
            with m.State("CONVERT"):
                taken = [
                    samples[lane].eq(Cat(pins.adc_data[lane], samples[lane]))
                    for lane in range(config.adcs)
                ]
                bits(taken, [], "CONVERTED", 0)
                with m.If(timer == 0):
                    m.d.sync += pins.adc_clock.eq(~level)
                leave()
            with m.State("CONVERTED"):
                m.d.sync += pins.adc_cs_n.eq(1)
                m.next = "IDLE"
        m.d.sync += pins.pulse.eq(port.pulse & biased)
        with m.If(safe):
            m.d.sync += [
                *(pin.eq(0) for pin in (pins.enable, pins.pulse, pins.hold, pins.select_latch)),
                *(pin.eq(1) for pin in (pins.dac_sync_n, pins.adc_cs_n)),
                *(pin.eq(1) for pin in (level, pins.dac_clock, pins.adc_clock)),
                pins.select_clock.eq(0),
            ]
        return m


class ControllerOnPins(wiring.Component):
    """The crossbar's controller with its front end on pins.

    Parameters
    ----------
    config, divider, settle
        As for `PinFrontEnd`.

    Members
    -------
    pins : Out(PinSignature(config))
        The board. The others are those of `Controller`, without its port.
    """

    def __init__(self, config: CrossbarConfig, *, divider: int, settle: int) -> None:
        self._controller = Controller(config)
        self._front_end = PinFrontEnd(config, divider=divider, settle=settle)
        members = dict(self._controller.signature.members.items())
        del members["port"]
        super().__init__({**members, "pins": Out(PinSignature(config))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.controller = controller = self._controller
        m.submodules.front_end = front_end = self._front_end
        wiring.connect(m, controller.port, front_end.port)
        wiring.connect(m, front_end.pins, wiring.flipped(self.pins))
        pass_on(m, controller, self)
        return m
