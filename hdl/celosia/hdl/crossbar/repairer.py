"""REPAIR: spare outputs for those with most defects."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.commands import Result
from celosia.golden.crossbar.config import MAGNITUDE_BITS, CrossbarConfig
from celosia.golden.crossbar.corrections import CorrectionField
from celosia.golden.crossbar.telemetry import WORD_BITS, StatusRegion, line_words, status_regions
from celosia.hdl.crossbar.product_corrector import correction_write
from celosia.hdl.crossbar.programmer import place_answer

__all__ = ["Repairer"]


class Repairer(wiring.Component):
    """Chooses as `celosia.golden.crossbar.repair.repaired`, and writes the OUTPUT table of a tile.

    Each output in turn is written and answered: the physical output that stands for it (`code`),
    and whether that is another one than before (MOVED). The first answer comes after as many
    cycles as the tile has cells, and some for each spare.

    Members:
        start: strobe: repair `tile`, which holds until the last answer is taken.
        scanned, scan_word: the map, as in `Status`.
        writes: Out(stream): entries of the correction tables.
        written, entry: strobe: an entry of the tables was taken, from here or elsewhere.
        answers: Out(stream): `place_answer`; the last one with `last`.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "tile": In(range(max(2, config.tiles))),
                "scanned": Out(range(len(status_regions(config)[StatusRegion.MAP]))),
                "scan_word": In(WORD_BITS),
                "writes": Out(stream.Signature(correction_write(config))),
                "written": In(1),
                "entry": In(correction_write(config)),
                "answers": Out(stream.Signature(place_answer(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, entry, answer = self._config, self.entry, self.answers.payload
        physicals, rounds = config.outputs + config.spares, min(config.outputs, config.spares)
        of_a_slice = config.output_columns // config.slices
        harm_shape = range(config.rows * of_a_slice * ((1 << MAGNITUDE_BITS) - 1) + 1)
        m.submodules.harms = harms = memory.Memory(shape=harm_shape, depth=physicals, init=[])
        physical = Signal(range(max(2, physicals)))
        scanning, scanned = self._scan(m, physical, harms)

        # The worst output and the best spare of those that aren't taken yet.
        harm = harms.read_port()
        taken, choosing = Signal(physicals), Signal()
        seen, is_seen = Signal.like(physical), Signal()
        worst, best = Signal(harm_shape), Signal(harm_shape)
        output, spare = Signal.like(physical), Signal.like(physical)
        some_output, some_spare = Signal(), Signal()
        m.d.comb += [harm.en.eq(1), harm.addr.eq(physical)]
        m.d.sync += [seen.eq(physical), is_seen.eq(choosing)]
        with m.If(is_seen & ~taken.bit_select(seen, 1)):
            with m.If(seen < config.outputs):
                with m.If(~some_output | (harm.data > worst)):
                    m.d.sync += [worst.eq(harm.data), output.eq(seen), some_output.eq(1)]
            with m.Elif(~some_spare | (harm.data < best)):
                m.d.sync += [best.eq(harm.data), spare.eq(seen), some_spare.eq(1)]

        places = memory.Memory(shape=physical.shape(), depth=config.outputs, init=[])
        before = memory.Memory(shape=physical.shape(), depth=config.tiles * config.outputs, init=[])
        m.submodules.places, m.submodules.before = places, before
        place, placed = places.write_port(), places.read_port()
        noted, old = before.write_port(), before.read_port()
        moved, left, now = (
            Signal(config.outputs),
            Signal(range(max(2, rounds + 1))),
            Signal.like(physical),
        )
        m.d.comb += [
            place.addr.eq(output),
            place.data.eq(spare),
            placed.en.eq(1),
            placed.addr.eq(physical),
            noted.en.eq(self.written & (entry.field == CorrectionField.OUTPUT)),
            noted.addr.eq(entry.tile * config.outputs + entry.place),
            noted.data.eq(entry.value),
            old.en.eq(1),
            old.addr.eq(self.tile * config.outputs + physical),
            now.eq(Mux(moved.bit_select(physical, 1), placed.data, physical)),
            self.writes.payload.field.eq(CorrectionField.OUTPUT),
            self.writes.payload.tile.eq(self.tile),
            self.writes.payload.place.eq(physical),
            self.writes.payload.value.eq(now),
            answer.place.eq(physical),
            answer.code.eq(now),
            answer.last.eq(physical == config.outputs - 1),
        ]
        with m.FSM(name="repair"):
            with m.State("IDLE"):
                m.d.sync += [physical.eq(0), taken.eq(0), moved.eq(0), left.eq(rounds)]
                with m.If(self.start):
                    m.next = "SCAN"
            with m.State("SCAN"):
                m.d.comb += scanning.eq(1)
                with m.If(scanned):
                    m.next = "SUM"
            with m.State("SUM"):  # the last cell's harm joins its output's
                m.d.sync += [physical.eq(0), some_output.eq(0), some_spare.eq(0)]
                m.next = "CHOOSE" if rounds else "OUTPUT"
            with m.State("CHOOSE"):
                m.d.comb += choosing.eq(1)
                m.d.sync += physical.eq(physical + 1)
                with m.If(physical == physicals - 1):
                    m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "DECIDE"
            with m.State("DECIDE"):
                with m.If(best < worst):
                    m.d.comb += place.en.eq(1)
                    m.d.sync += moved.bit_select(output, 1).eq(1)
                m.d.sync += [
                    taken.bit_select(output, 1).eq(1),
                    taken.bit_select(spare, 1).eq(1),
                    left.eq(left - 1),
                    physical.eq(0),
                    some_output.eq(0),
                    some_spare.eq(0),
                ]
                m.next = "CHOOSE"
                with m.If(left == 1):
                    m.next = "OUTPUT"
            with m.State("OUTPUT"):
                m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += self.writes.valid.eq(1)
                with m.If(self.writes.ready):
                    m.d.sync += answer.result.eq(
                        Mux(old.data == now, Result.CONVERGED.value, Result.MOVED.value)
                    )
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.answers.valid.eq(1)
                with m.If(self.answers.ready):
                    m.d.sync += physical.eq(physical + 1)
                    m.next = "OUTPUT"
                    with m.If(answer.last):
                        m.next = "IDLE"
        return m

    def _scan(self, m: Module, physical: Signal, harms: memory.Memory) -> tuple[Signal, Signal]:
        """Read a cell's bit each cycle, output by output, and add up how much defects weigh.

        Returns a level that goes on with it, and a strobe with the last cell.
        """
        config = self._config
        scanning, scanned = Signal(), Signal()
        row, step = Signal(range(config.rows)), Signal(range(config.output_columns))
        column = Signal(range(config.columns))
        last_of_output = Signal()
        m.d.comb += [
            column.eq(physical * config.output_columns + step),
            self.scanned.eq(
                (self.tile * (config.rows + 1) + row) * line_words(config) + column // WORD_BITS
            ),
            last_of_output.eq((row == config.rows - 1) & (step == config.output_columns - 1)),
            scanned.eq(last_of_output & (physical == config.outputs + config.spares - 1)),
        ]
        with m.If(scanning):
            m.d.sync += step.eq(step + 1)
            with m.If(step == config.output_columns - 1):
                m.d.sync += [step.eq(0), row.eq(row + 1)]
            with m.If(last_of_output):
                m.d.sync += physical.eq(physical + 1)
        # The bit comes a cycle later.
        fetched, first, last = Signal(), Signal(), Signal()
        bit, part = Signal(range(WORD_BITS)), Signal(range(config.slices))
        of, harm, total = Signal.like(physical), Signal(harms.shape), Signal(harms.shape)
        m.d.sync += [
            fetched.eq(scanning),
            first.eq((row == 0) & (step == 0)),
            last.eq(last_of_output),
            bit.eq(column % WORD_BITS),
            part.eq(step // (config.output_columns // config.slices)),
            of.eq(physical),
        ]
        weighed = self.scan_word.bit_select(bit, 1) << (part * config.cell_bits)
        write = harms.write_port()
        m.d.comb += [
            total.eq(Mux(first, 0, harm) + weighed),
            write.en.eq(fetched & last),
            write.addr.eq(of),
            write.data.eq(total),
        ]
        with m.If(fetched):
            m.d.sync += harm.eq(total)
        return scanning, scanned
