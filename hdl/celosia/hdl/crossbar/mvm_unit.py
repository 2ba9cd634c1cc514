"""MVM: products of int8 vectors and tiles, through the front end."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import INPUT_BITS, CrossbarConfig
from celosia.golden.crossbar.corrections import CorrectionField
from celosia.golden.crossbar.front_end import GAIN_BITS
from celosia.hdl.crossbar.access import ReadSignature
from celosia.hdl.crossbar.column_meter import probe, probe_response
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
        Entries of the tables; taken while no product waits or is at hand, and all sums are taken.
    probes : In(stream.Signature(probe(config)))
        Masks to be driven as they are, in spite of ``hold``; only when the port isn't used for a
        product. Taken with their response, or without one when an abort drops them.
    responses : Out(stream.Signature(probe_response(config)))
        What they gave; not corrected.
    amend : In(1)
        Level: entries are taken though products wait, which then find them. Only with ``hold``.
    sums : Out(stream.Signature(ArrayLayout(signed(32), outputs)))
        One for each request that wasn't dropped, in order.
    reads : Out(ReadSignature(config))
        The front end, through the limiter.
    hold, abort, settle, number, multiplied, probed, dropped, issued, reissued, clipped
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
                "probes": In(stream.Signature(probe(config))),
                "responses": Out(stream.Signature(probe_response(config))),
                "reads": Out(ReadSignature(config)),
                **product_signals(config),
                "amend": In(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.reader = reader = ProductReader(config)
        m.submodules.corrector = corrector = ProductCorrector(config)
        wiring.connect(m, corrector.sums, wiring.flipped(self.sums))
        wiring.connect(m, reader.reads, wiring.flipped(self.reads))
        for name, member in product_signals(config).items():
            inner, outer = getattr(reader, name), getattr(self, name)
            m.d.comb += outer.eq(inner) if member.flow is Out else inner.eq(outer)

        request, entry, asked = self.requests, self.corrections, self.probes
        probing, wanted = asked.valid, Signal.like(request.payload.tile)
        valid = probing | request.valid
        m.d.comb += wanted.eq(Mux(probing, asked.payload.tile, request.payload.tile))
        idle, open_ = Signal(), Signal()
        m.d.comb += [
            idle.eq(~request.valid & ~reader.busy & ~corrector.busy),
            self.busy.eq(~idle),
            open_.eq(idle | (self.amend & ~reader.reads.enable & ~corrector.busy)),
            corrector.writes.payload.eq(entry.payload),
            corrector.writes.valid.eq(entry.valid & open_),
            entry.ready.eq(open_ & corrector.writes.ready),
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
        used, job = Signal(physicals), reader.jobs.payload
        known, tile = Signal(), Signal.like(request.payload.tile)
        adc_gain = Signal(GAIN_BITS)
        m.d.comb += [
            gain.en.eq(1),
            gain.addr.eq(tile),
            physical.en.eq(1),
            physical.addr.eq(tile * config.outputs + output),
            job.tile.eq(wanted),
            job.unsigned.eq(request.payload.unsigned | probing),
            job.probe.eq(probing),
            job.adc_gain.eq(adc_gain),
            request.ready.eq(reader.jobs.ready & ~probing),
            asked.ready.eq(reader.jobs.ready & probing),
        ]
        for row in range(config.rows):
            given = request.payload.inputs[row]
            m.d.comb += job.inputs[row].eq(Mux(probing, asked.payload.rows[row], given))
        for number in range(physicals):
            for column in range(config.output_columns):
                place = number * config.output_columns + column
                m.d.comb += job.used[place].eq(used[number])
        m.d.comb += job.used[config.reference :].eq(~0)
        mapping = Signal()
        with m.If(mapping):
            m.d.sync += output.eq(output + 1)
            with m.If(output != 0):
                m.d.sync += used.bit_select(physical.data, 1).eq(1)
            with m.If(output == config.outputs):
                m.d.sync += [mapping.eq(0), known.eq(1), adc_gain.eq(gain.data)]
        with m.Elif(valid & ~(known & (tile == wanted))):
            m.d.sync += [mapping.eq(1), output.eq(0), used.eq(0), known.eq(0), tile.eq(wanted)]
        m.d.comb += reader.jobs.valid.eq(valid & known & (tile == wanted))
        with m.If(written):
            m.d.sync += [known.eq(0), mapping.eq(0)]

        codes, found = corrector.codes, self.responses
        m.d.comb += [
            codes.payload.eq(reader.sums.payload),
            codes.valid.eq(reader.sums.valid & ~probing),
            found.valid.eq(reader.sums.valid & probing),
            reader.sums.ready.eq(Mux(probing, found.ready, codes.ready)),
            found.payload.saturated.eq(reader.saturated),
            found.payload.adc_gain.eq(adc_gain),
            found.payload.used.eq(used),
            *(
                found.payload.codes[column].eq(reader.sums.payload.columns[column])
                for column in range(config.columns)
            ),
        ]
        return m
