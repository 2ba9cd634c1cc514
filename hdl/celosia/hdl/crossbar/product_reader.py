"""Drives a product bit by bit and adds its codes up, column by column."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CODE_BITS, INPUT_BITS, CrossbarConfig
from celosia.golden.crossbar.front_end import GAIN_BITS, SEQUENCE_BITS, Part, ReadRange
from celosia.golden.crossbar.mvm import PRODUCT_SHIFT
from celosia.hdl.crossbar.access import ReadSignature

__all__ = [
    "ISSUES_BITS",
    "NUMBER_BITS",
    "SUM_BITS",
    "ProductReader",
    "code_sums",
    "product_job",
    "product_signals",
]

SUM_BITS = CODE_BITS + 1 + INPUT_BITS + 1
"""Codes of two halves, times up to 255, signed."""
ISSUES_BITS = INPUT_BITS + 3
"""Weighted count of conversions of a column, two a bit at most, signed."""


NUMBER_BITS = SEQUENCE_BITS - PRODUCT_SHIFT
"""Width of a product's number: what its input bit and part leave of `sequence`."""


def product_job(config: CrossbarConfig) -> data.StructLayout:
    """A product to be made; `used` has a bit for each column that belongs to an output.

    With `probe` only the lowest bit of the inputs is driven, once, whether columns saturate or not;
    `unsigned` is 1 then.
    """
    return data.StructLayout(
        {
            "tile": range(max(2, config.tiles)),
            "unsigned": 1,
            "probe": 1,
            "adc_gain": GAIN_BITS,
            "used": config.columns,
            "inputs": data.ArrayLayout(signed(INPUT_BITS), config.rows),
        }
    )


def code_sums(config: CrossbarConfig) -> data.StructLayout:
    """What a product's codes add up to: sum of +-2^bit * code, and of +-2^bit * conversions."""
    return data.StructLayout(
        {
            "tile": range(max(2, config.tiles)),
            "issues": signed(ISSUES_BITS),
            "columns": data.ArrayLayout(signed(SUM_BITS), config.columns),
        }
    )


def product_signals(config: CrossbarConfig) -> dict[str, wiring.Member]:
    """What controls a `ProductReader`, and what it reports."""
    return {
        "hold": In(1),
        "abort": In(1),
        "settle": In(8),
        "number": In(NUMBER_BITS),
        "multiplied": Out(1),
        "probed": Out(1),
        "dropped": Out(1),
        "issued": Out(1),
        "reissued": Out(1),
        "clipped": Out(range(config.columns + 1)),
    }


class ProductReader(wiring.Component):
    """Makes products' conversions, as `celosia.golden.crossbar.mvm` says, one product at a time.

    From the most significant bit down: the rows whose bit is set are driven, all groups converted;
    where a used column is saturated, the bit is issued again in two halves, whose codes count
    instead. The last bit's strobes are followed by those of the next product without leaving mode
    READ while jobs are there. A read that is cut off by an abort is dropped: its job gives no sums.

    A probe is a job that isn't `hold`'s matter: it begins in any case, and when an abort drops it,
    its number is used again. Its codes and flags are those of its one conversion.

    Throughput: a product takes 8 x (integrate + groups x convert + 2) cycles and 2 more, with what
    the front end takes for each.

    Members
    -------
    jobs : In(stream.Signature(product_job(config)))
        Products, in order; a job is taken with its last conversion, or when it is dropped.
    hold : In(1)
        Begin no product; the port is left as soon as the one at hand is complete.
    abort : In(1)
        Drop jobs; the limiter closes the port at the same time.
    settle : In(8)
        Cycles between mode READ and the first strobe.
    number : In(NUMBER_BITS)
        Of the job, for models: how often ``multiplied``, ``probed`` and ``dropped`` were high.
    sums : Out(stream.Signature(code_sums(config)))
        What each job's codes add up to.
    saturated : Out(columns)
        Columns that were at the converters' end in the last conversion, with ``sums``.
    reads : Out(ReadSignature(config))
        The front end, through the limiter.
    multiplied, probed, dropped, issued, reissued : Out(1)
        Strobes: a product gave its sums; a probe did; a product was dropped; a bit, or half of one,
        was converted; a bit was issued again.
    clipped : Out
        Used columns that stayed saturated in a half, with ``issued``.
    busy : Out(1)
        A product waits or is at hand.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        super().__init__(
            {
                "jobs": In(stream.Signature(product_job(config))),
                "sums": Out(stream.Signature(code_sums(config))),
                "saturated": Out(config.columns),
                "reads": Out(ReadSignature(config)),
                **product_signals(config),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, job, reads, sums = self._config, self.jobs.payload, self.reads, self.sums
        bit = Signal(range(INPUT_BITS), init=INPUT_BITS - 1)
        part = Signal(Part)
        group = Signal(range(max(2, config.groups)))
        settled = Signal(8)
        codes = Signal(data.ArrayLayout(CODE_BITS + 1, config.columns))
        full = Signal(config.columns)
        totals = Signal(data.ArrayLayout(signed(SUM_BITS), config.columns))
        issues = Signal(signed(ISSUES_BITS))

        driven = Signal(config.rows)
        half = config.rows // 2
        for row in range(config.rows):
            raw = Signal(INPUT_BITS, name=f"raw_{row}")
            m.d.comb += raw.eq(job.inputs[row] ^ (job.unsigned << (INPUT_BITS - 1)))
            wanted = part != (Part.UPPER if row < half else Part.LOWER).value
            m.d.comb += driven[row].eq(raw.bit_select(bit, 1) & wanted)
        m.d.comb += [
            self.busy.eq(self.jobs.valid),
            reads.tile.eq(job.tile),
            reads.rows.eq(driven),
            reads.group.eq(group),
            reads.range.eq(ReadRange.PRODUCT),
            reads.gain.eq(job.adc_gain),
            reads.sequence.eq(Cat(part, bit, self.number)),
            sums.payload.tile.eq(job.tile),
            sums.payload.issues.eq(issues),
            sums.payload.columns.eq(totals),
            self.saturated.eq(full),
        ]

        begun = Mux(job.probe, 0, INPUT_BITS - 1)
        held = self.hold & ~job.probe
        top_bit = bit == begun
        negative = top_bit & ~job.unsigned
        some_full = (full & job.used) != 0
        again = Signal()
        m.d.comb += again.eq(some_full & (part == Part.WHOLE) & ~job.probe)

        with m.FSM(name="product"):
            with m.State("REST"):
                m.d.sync += [settled.eq(self.settle), bit.eq(begun), part.eq(Part.WHOLE)]
                with m.If(self.jobs.valid & self.abort):
                    m.next = "DROP"
                with m.Elif(self.jobs.valid & ~held):
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.d.comb += reads.enable.eq(1)
                with m.If(reads.opened):
                    m.d.sync += settled.eq(settled - 1)
                    with m.If(settled == 0):
                        m.d.sync += settled.eq(0)
                        m.next = "INTEGRATE"
                with m.Elif(self.abort):
                    m.next = "DROP"
            with m.State("INTEGRATE"):
                m.d.comb += reads.enable.eq(1)
                with m.If(reads.ready):
                    m.d.comb += reads.integrate.eq(1)
                    m.d.sync += group.eq(0)
                    m.next = "CONVERT"
                self._drop(m)
            with m.State("CONVERT"):
                m.d.comb += reads.enable.eq(1)
                with m.If(reads.ready):
                    m.d.comb += reads.convert.eq(1)
                    m.next = "TAKE"
                self._drop(m)
            with m.State("TAKE"):
                m.d.comb += reads.enable.eq(1)
                with m.If(reads.ready):
                    self._take(m, group, part, codes, full)
                    m.d.sync += group.eq(group + 1)
                    # The next strobe may come in the cycle of the answer.
                    with m.If(group == config.groups - 1):
                        m.next = "BIT"
                    with m.Else():
                        m.d.comb += [reads.group.eq(group + 1), reads.convert.eq(1)]
                self._drop(m)
            with m.State("BIT"):
                m.d.comb += [reads.enable.eq(1), self.issued.eq(1)]
                with m.If(part != Part.WHOLE):
                    m.d.comb += self.clipped.eq(
                        sum((full & job.used)[column] for column in range(config.columns))
                    )
                m.next = "INTEGRATE"
                with m.If(again):
                    m.d.comb += self.reissued.eq(1)
                    m.d.sync += part.eq(Part.LOWER)
                with m.Elif(part == Part.LOWER):
                    m.d.sync += part.eq(Part.UPPER)
                with m.Else():
                    self._commit(m, codes, totals, issues, top_bit, negative, part)
                    m.d.sync += [part.eq(Part.WHOLE), bit.eq(bit - 1)]
                    with m.If(bit == 0):
                        m.next = "SUMS"
                self._drop(m)
            with m.State("SUMS"):
                # The next product may begin where this one ends.
                m.d.comb += [reads.enable.eq(1), sums.valid.eq(1), self.jobs.ready.eq(sums.ready)]
                with m.If(sums.ready):
                    m.d.comb += [self.multiplied.eq(~job.probe), self.probed.eq(job.probe)]
                    m.next = "NEXT"
            with m.State("NEXT"):
                m.d.comb += reads.enable.eq(self.jobs.valid & ~held)
                m.d.sync += [bit.eq(begun), part.eq(Part.WHOLE)]
                m.next = "REST"
                with m.If(reads.enable):
                    m.next = "INTEGRATE"
            with m.State("DROP"):
                m.d.comb += [self.jobs.ready.eq(1), self.dropped.eq(~job.probe)]
                m.next = "REST"
        return m

    def _drop(self, m: Module) -> None:
        """An abort has closed the port under our hands."""
        with m.If(~self.reads.opened):
            m.next = "DROP"

    def _take(self, m: Module, group: Signal, part: Signal, codes: Signal, full: Signal) -> None:
        """Keep a group's codes: the upper half's join the lower half's."""
        config, reads = self._config, self.reads
        for number in range(config.groups):
            with m.If(group == number):
                for lane in range(config.adcs):
                    column = number * config.adcs + lane
                    before = Mux(part == Part.UPPER, codes[column], 0)
                    m.d.sync += [
                        codes[column].eq(before + reads.codes[lane]),
                        full[column].eq(reads.saturated[lane]),
                    ]

    def _commit(
        self,
        m: Module,
        codes: Signal,
        totals: Signal,
        issues: Signal,
        top_bit: Signal,
        negative: Signal,
        part: Signal,
    ) -> None:
        """Double what the bits above gave, and add this bit's codes; the first ones replace it."""
        for column in range(self._config.columns):
            above = Mux(top_bit, 0, totals[column] << 1)
            m.d.sync += totals[column].eq(
                Mux(negative, above - codes[column], above + codes[column])
            )
        above = Mux(top_bit, 0, issues << 1)
        count = Mux(part == Part.UPPER, 2, 1)
        m.d.sync += issues.eq(Mux(negative, above - count, above + count))
