"""From drained sums to stored vectors, a bit a cycle: what fits the smallest FPGAs."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import NpuConfig
from celosia.golden.rounding import BIAS_PLANES, RoundingMode
from celosia.hdl.npu.bit_serial_lane import BYTE, BitSerialLane
from celosia.hdl.npu.interfaces import MemoryReadSignature, MemoryWriteSignature, vector
from celosia.hdl.npu.lane_collector import slice_mask
from celosia.hdl.npu.lane_feed import feed_tag
from celosia.hdl.npu.output_addresses import OutputAddress
from celosia.hdl.npu.requantizer_steps import MULTIPLIER_BITS, Control
from celosia.hdl.npu.tap_reducer import SUM_BITS

__all__ = ["SerialDrain"]

Scale = data.StructLayout(
    {"multiplier": unsigned(MULTIPLIER_BITS[RoundingMode.DOUBLE]), "exponent": signed(8)}
)
"""What uniform vectors have in common."""

# The counter of an output's cycles: it begins, and waits, two before 0.
START, LAST, WRAP = 126, 62, 64


class SerialDrain(wiring.Component):
    """Requantises drained sums in the integer modes and stores them, with one `BitSerialLane`.

    A drained vector of C sums gives one scratchpad vector for each address up to its pixel's end,
    as of `LaneFeed`. The parameter record stands in a block RAM.

    Throughput: an output every `requantizer_cycles` = 65 cycles. Latency: a vector is written
    ``LATENCY`` cycles after its last output begins, which it does at once with sums that come
    while there is none. Back-pressure: all stops as the next result is to leave while a vector
    waits. Reset empties it; settings are kept if nothing was under way.

    Parameters
    ----------
    config : NpuConfig
        Sizes.

    Members
    -------
    starts : In(1), first : In
        Drain the accumulators from this one on, as many as there are pixels of addresses.
    accumulators : Out(MemoryReadSignature(C int32))
        Reads of sums.
    addresses : In(stream.Signature(OutputAddress))
        One for each scratchpad vector, taken as that is written; the first of them from the cycle
        behind `starts` on.
    sets_output : In(1), output : In(Control)
        Take them; while nothing is under way, as all that follows.
    sets_scale : In(1), scale : In(Scale)
        Take multiplier and exponent of vectors with `uniform`.
    uniform : In(1), slice : In
        As of `LaneFeed`; must not change while something is under way.
    write_enable, plane, vector : In
        Writes of the record: as of `ParameterRegisters`.
    write : Out(MemoryWriteSignature(R))
        Vectors; the mask has the lanes of the slice.
    done : Out(1)
        A vector whose address says `last` is accepted in this cycle.
    """

    LATENCY = 115

    accumulators: wiring.PureInterface
    addresses: stream.Interface
    write: stream.Interface

    def __init__(self, config: NpuConfig):
        self._config = config
        super().__init__(
            {
                "starts": In(1),
                "first": In(range(config.accumulator_depth)),
                "accumulators": Out(MemoryReadSignature(vector(config.columns, SUM_BITS))),
                "addresses": In(stream.Signature(OutputAddress)),
                "sets_output": In(1),
                "output": In(Control),
                "sets_scale": In(1),
                "scale": In(Scale),
                "uniform": In(1),
                "slice": In(feed_tag(config)["slice"].shape),
                "write_enable": In(1),
                "plane": In(range(config.parameter_vectors)),
                "vector": In(vector(config.columns)),
                "write": Out(MemoryWriteSignature(config.rows)),
                "done": Out(1),
            }
        )

    # Cycles of an output, by the counter:
    #   126       its exponent is taken
    #   0 to 31   sum and bias are added, and gathered as the operand
    #   32 to 62  multiplied
    # and then, in those of the next one, or without one:
    #   126 to 39 rounded and compared (127 is followed by 0)
    #   40 to 47  sent to the vector

    def elaborate(self, platform):
        m = Module()
        config = self._config
        at = Signal(7, init=START)
        following = Signal.like(at)
        active, pending = Signal(), Signal()  # an output in its first phases, and in its last
        full = Signal()
        sends, last = Signal(), Signal()
        goes, runs = Signal(), Signal()
        m.d.comb += [
            sends.eq(at[3:] == 0b0101),
            last.eq(at == LAST),
            runs.eq(~(sends & pending & full)),
            goes.eq((at != START) | pending | self.accumulators.response.valid),
            # From 62 to 126 it is a bit.
            following.eq(at + (goes & ~last)),
        ]
        with m.If(runs):
            m.d.sync += at.eq(following | Mux(last, WRAP, 0))
            with m.If(last):
                m.d.sync += pending.eq(active)
            with m.If(at == START):
                m.d.sync += active.eq(self.accumulators.response.valid)

        # Settings may come once all is written: what is left of the cycles moves nothing.
        moves = runs & active
        column, vector_end = self._columns(m, moves & last)
        m.submodules.lane = lane = BitSerialLane(modes=config.modes)
        multiplies = at[5] & ~at[6]
        m.d.comb += [
            lane.enable.eq(runs & goes),
            lane.sets.eq(self.sets_output),
            lane.settings.eq(self.output),
            lane.gathers.eq(~at[5]),
            lane.clears.eq(at[:6] == 31),
            lane.multiplies.eq(multiplies),
            lane.begins.eq(last),
            lane.rounds.eq(at[6] | ~at[5] | ~(at[3] | at[4])),
            lane.ends.eq(at == 39),
            lane.sends.eq(sends),
        ]
        self._operands(m, lane, at, following, runs, moves, column)
        self._collect(m, lane, runs & sends & pending, at[:3] == 7, full, vector_end)
        return m

    def _columns(self, m, moves):
        """The column of the output under way, and whether it is its vector's last."""
        config = self._config
        group = Signal(range(config.rows))
        vector_end = group == config.rows - 1
        ends_sums = self.addresses.payload.pixel_end & vector_end
        self._read(m, moves & ends_sums)
        with m.If(moves):
            m.d.sync += group.eq(Mux(vector_end, 0, group + 1))
        if config.rows == config.columns:
            return group, vector_end
        column = Signal(range(config.columns))
        with m.If(moves):
            m.d.sync += column.eq(column + 1)
            with m.If(ends_sums | (column == config.columns - 1)):
                m.d.sync += column.eq(0)
        return column, vector_end

    def _read(self, m, takes):
        """Ask for the next sums as the last ones are taken, or later."""
        request, response = self.accumulators.request, self.accumulators.response
        asks, address = Signal(), Signal.like(self.first, reset_less=True)
        m.d.comb += [
            request.valid.eq(asks | (takes & ~self.addresses.payload.last)),
            request.payload.address.eq(address),
            response.ready.eq(takes),
        ]
        with m.If(self.starts):
            m.d.sync += [asks.eq(1), address.eq(self.first)]
        with m.Elif(request.valid):
            m.d.sync += [asks.eq(~request.ready), address.eq(address + request.ready)]

    def _operands(self, m, lane, at, following, runs, moves, column):
        """The bits that go to the lane, with the exponent."""
        config = self._config
        multiplies = lane.multiplies
        # Which bit the next cycle takes: of an operand that is shifted left the first are zeros.
        exponent = Signal(signed(8), reset_less=True)
        left = Mux(exponent[-1] | following[5], 0, exponent[:5])
        next_place = Signal(6)
        place, leads = Signal(5), Signal()
        m.d.comb += next_place.eq(following[:5] - left)
        with m.If(runs):
            m.d.sync += Cat(place, leads).eq(next_place)

        m.submodules.record = record = memory.Memory(
            shape=unsigned(BYTE * config.columns),
            depth=1 << (config.parameter_vectors - 1).bit_length(),
            init=[],
            attrs={"no_rw_check": 1},
        )
        write, read = record.write_port(), record.read_port()
        plane = next_place[3:5]
        m.d.comb += [
            write.addr.eq(self.plane),
            write.data.eq(self.vector),
            write.en.eq(self.write_enable),
            read.en.eq(runs),
            read.addr.eq(Mux(following[5], BIAS_PLANES + 1 + plane, plane)),
        ]
        with m.If(at[:6] == LAST):  # the first cycle is the next one
            m.d.comb += read.addr.eq(BIAS_PLANES)
        byte = Signal(BYTE)
        m.d.comb += byte.eq(read.data.word_select(column, BYTE))
        bit = byte.bit_select(place[:3], 1)

        scale = Signal(Scale, reset_less=True)
        with m.If(self.sets_scale):
            m.d.sync += scale.eq(self.scale)
        with m.Elif(multiplies & moves):
            m.d.sync += scale.multiplier.eq(scale.multiplier.rotate_right(1))
        with m.If(at == START):
            m.d.sync += exponent.eq(Mux(self.uniform, scale.exponent, byte))

        carry, next_carry, level = Signal(reset_less=True), Signal(), Signal()
        sums = self.accumulators.response.payload.vector
        sum_bit = _element(list(sums.as_value()), Cat(place, column))
        m.d.comb += Cat(level, next_carry).eq(sum_bit + bit + carry)
        with m.If(runs):
            m.d.sync += carry.eq(next_carry & ~leads & lane.gathers)
        m.d.comb += [
            lane.operand.eq(level & ~leads),
            lane.multiplier.eq(Mux(self.uniform, scale.multiplier[0], bit)),
            lane.exponent.eq(exponent),
        ]

    def _collect(self, m, lane, takes, ends_output, full, vector_end):
        """Put results together, and write their vectors."""
        config = self._config
        collected = Signal(vector(config.rows), reset_less=True)
        ends_vector = Signal()
        m.d.comb += [
            self.write.valid.eq(full),
            self.write.payload.address.eq(self.addresses.payload.address),
            self.write.payload.vector.eq(collected),
            self.addresses.ready.eq(full & self.write.ready),
            self.done.eq(self.addresses.ready & self.addresses.payload.last),
        ]
        with m.If(lane.begins & lane.enable):
            m.d.sync += ends_vector.eq(vector_end)
        with m.If(self.write.ready):
            m.d.sync += full.eq(0)
        with m.If(takes):
            m.d.sync += collected.eq(Cat(collected.as_value()[1:], lane.o))
            with m.If(ends_output):
                m.d.sync += full.eq(ends_vector)
        m.d.comb += self.write.payload.mask.eq(slice_mask(config, self.slice))


def _element(values, number):
    """One of the values by its number, of which four take two cells of four inputs."""
    while len(values) > 1:
        low, high = number[0], number[1] if len(number) > 1 else Const(0, 1)
        number = number[2:]
        groups = [values[first : first + 4] for first in range(0, len(values), 4)]
        values = []
        for group in groups:
            a, b, c, d = (*group, *[group[-1]] * (4 - len(group)))
            either = Mux(high, low, Mux(low, b, a))
            values.append(Mux(high, Mux(either, d, c), either))
    return values[0]
