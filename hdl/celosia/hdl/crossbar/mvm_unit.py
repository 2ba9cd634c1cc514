"""MVM: products of int8 vectors and tiles, through the front end."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import INPUT_BITS, CrossbarConfig
from celosia.golden.crossbar.corrections import CorrectionField
from celosia.golden.crossbar.front_end import GAIN_BITS
from celosia.hdl.crossbar.access import ReadSignature
from celosia.hdl.crossbar.product_corrector import ProductCorrector, correction_write
from celosia.hdl.crossbar.product_reader import ProductReader, product_signals

__all__ = ["MvmUnit", "product_request"]


def product_request(config: CrossbarConfig) -> data.StructLayout:
    """A vector and the tile to multiply it by."""
    return data.StructLayout(
        {
            "tile": range(max(2, config.tiles)),
            "unsigned": 1,
            "inputs": data.ArrayLayout(signed(INPUT_BITS), config.rows),
        }
    )


class MvmUnit(wiring.Component):
    """Multiplies as `celosia.golden.crossbar.mvm.Multiplier`, bit for bit.

    Products are made one after the other; the sums of one are corrected while the conversions of
    the next go on. Latency and throughput are those of `ProductReader` and `ProductCorrector`; the
    first product on another tile takes outputs + 3 cycles more.

    Members
    -------
    requests : In(stream.Signature(product_request(config)))
        Vectors, in order.
    corrections : In(stream.Signature(correction_write(config)))
        Entries of the tables; taken while no product waits or is at hand.
    sums : Out(stream.Signature(ArrayLayout(signed(32), outputs)))
        One for each request that wasn't dropped, in order.
    reads : Out(ReadSignature(config))
        The front end, through the limiter.
    hold, abort, settle, multiplied, dropped, issued, reissued, clipped
        As for `ProductReader`.
    busy : Out(1)
        A request, a product or sums are under way.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        super().__init__(
            {
                "requests": In(stream.Signature(product_request(config))),
                "corrections": In(stream.Signature(correction_write(config))),
                "sums": Out(stream.Signature(data.ArrayLayout(signed(32), config.outputs))),
                "reads": Out(ReadSignature(config)),
                **product_signals(config),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.reader = reader = ProductReader(config)
        m.submodules.corrector = corrector = ProductCorrector(config)
        wiring.connect(m, reader.sums, corrector.codes)
        wiring.connect(m, corrector.sums, wiring.flipped(self.sums))
        wiring.connect(m, reader.reads, wiring.flipped(self.reads))
        for name, member in product_signals(config).items():
            inner, outer = getattr(reader, name), getattr(self, name)
            m.d.comb += outer.eq(inner) if member.flow is Out else inner.eq(outer)

        request, entry = self.requests, self.corrections
        idle = Signal()
        m.d.comb += [
            idle.eq(~request.valid & ~reader.busy & ~corrector.busy),
            self.busy.eq(~idle),
            corrector.writes.payload.eq(entry.payload),
            corrector.writes.valid.eq(entry.valid & idle),
            entry.ready.eq(idle & corrector.writes.ready),
        ]
        written = entry.valid & entry.ready

        # What a tile's conversions need to know, found once for products on the same tile.
        gains = memory.Memory(shape=GAIN_BITS, depth=config.tiles, init=[])
        physicals = config.outputs + config.spares
        maps = memory.Memory(
            shape=range(max(2, physicals)), depth=config.tiles * config.outputs, init=[]
        )
        m.submodules.gains, m.submodules.maps = gains, maps
        for table, field, places in (
            (gains, CorrectionField.ADC_GAIN, 1),
            (maps, CorrectionField.OUTPUT, config.outputs),
        ):
            write = table.write_port()
            place = 0 if places == 1 else entry.payload.place
            m.d.comb += [
                write.en.eq(written & (entry.payload.field == field)),
                write.addr.eq(entry.payload.tile * places + place),
                write.data.eq(entry.payload.value),
            ]
        gain, physical = gains.read_port(), maps.read_port()
        output = Signal(range(config.outputs + 1))
        used = Signal(physicals)
        known, tile = Signal(), Signal.like(request.payload.tile)
        adc_gain = Signal(GAIN_BITS)
        m.d.comb += [
            gain.en.eq(1),
            gain.addr.eq(request.payload.tile),
            physical.en.eq(1),
            physical.addr.eq(request.payload.tile * config.outputs + output),
            reader.jobs.payload.tile.eq(request.payload.tile),
            reader.jobs.payload.unsigned.eq(request.payload.unsigned),
            reader.jobs.payload.inputs.eq(request.payload.inputs),
            reader.jobs.payload.adc_gain.eq(adc_gain),
            request.ready.eq(reader.jobs.ready),
        ]
        for number in range(physicals):
            for column in range(config.output_columns):
                place = number * config.output_columns + column
                m.d.comb += reader.jobs.payload.used[place].eq(used[number])
        mapping = Signal()
        with m.If(mapping):
            m.d.sync += output.eq(output + 1)
            with m.If(output != 0):
                m.d.sync += used.bit_select(physical.data, 1).eq(1)
            with m.If(output == config.outputs):
                m.d.sync += [mapping.eq(0), known.eq(1), adc_gain.eq(gain.data)]
        with m.Elif(request.valid & ~(known & (tile == request.payload.tile))):
            m.d.sync += [mapping.eq(1), output.eq(0), used.eq(0), known.eq(0)]
            m.d.sync += tile.eq(request.payload.tile)
        m.d.comb += reader.jobs.valid.eq(request.valid & known & (tile == request.payload.tile))
        with m.If(written):
            m.d.sync += known.eq(0)
        return m
