"""Nested counters that walk an image without a multiplier: implicit im2col, and pooling windows."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.isa import ADDRESS_BITS, COORDINATE_BITS, LOOP_LEVELS, Matmul, MatrixLoop
from celosia.hdl.npu.interfaces import field_width
from celosia.hdl.npu.level_memory import LevelMemory

__all__ = ["AddressGenerator", "Bounds", "LoopSetting", "position_layout", "run_layout"]

COUNT_BITS = field_width(MatrixLoop, "count")
RUN_COUNT_BITS = field_width(Matmul, "rows")
LEVEL_BITS = field_width(MatrixLoop, "level")
RUN_START = LOOP_LEVELS
"""The place of a run's start among the points of the levels."""

LoopSetting = data.StructLayout(
    {
        "level": unsigned(field_width(MatrixLoop, "level")),
        "count": unsigned(COUNT_BITS),
        "address_step": unsigned(ADDRESS_BITS),
        "y_step": signed(COORDINATE_BITS),
        "x_step": signed(COORDINATE_BITS),
    }
)
"""One level of the nest: how often it steps, and what a step adds."""

Bounds = data.StructLayout(
    {"height": unsigned(COORDINATE_BITS), "width": unsigned(COORDINATE_BITS)}
)
"""Size of the image; positions outside of it are padding."""


def run_layout(tag: Shape) -> data.StructLayout:
    """A run: where it starts, and its own counts for the two levels that the instruction gives.

    With ``alone`` these are all that it walks: each other level has one iteration. ``tag`` is a
    shape; its value comes back with every position of the run.
    """
    return data.StructLayout(
        {
            "address": unsigned(ADDRESS_BITS),
            "y": signed(COORDINATE_BITS),
            "x": signed(COORDINATE_BITS),
            "counts": data.ArrayLayout(unsigned(RUN_COUNT_BITS), 2),
            "alone": 1,
            "tag": tag,
        }
    )


def position_layout(tag: Shape) -> data.StructLayout:
    """A position: its address, 0 where it isn't ``inside`` the image, and its place in the nest.

    Bit l of ``first`` and of ``last`` is 1 in the first and in the last iteration of level l.
    """
    return data.StructLayout(
        {
            "address": unsigned(ADDRESS_BITS),
            "inside": 1,
            "first": unsigned(LOOP_LEVELS),
            "last": unsigned(LOOP_LEVELS),
            "tag": tag,
        }
    )


class AddressGenerator(wiring.Component):
    """A nest of five loops, level 0 innermost, that gives an address and a place in the image.

    A run offers product(counts) positions: address, y and x are those of the run plus, for each
    level, its iteration times its step. Addresses are modulo 2^``address_bits``, y and x modulo
    2^``coordinate_bits``. A position is inside where 0 <= y < height and 0 <= x < width.

    Throughput: a position every cycle, without a gap between runs. Latency: the first position is
    offered 2 cycles after its run was taken, or 1 if not ``registered``.

    Back-pressure: ``runs`` and the settings are taken only between runs, that is in the cycle in
    which the last position leaves the counters or later, so that a setting never disturbs a run. A
    setting waits while a run is offered. Without ``overlaps`` both wait until the last position has
    left the counters. Counts must be at least 1, which nothing checks.

    Reset ends the run. Settings have no value before they are first made.

    Parameters
    ----------
    run_levels : (int, int)
        The levels whose counts come with each run, in the order of its ``counts``.
    tag : int or shape-like
        Shape of what travels with a run.
    overlaps : bool
        Whether runs follow each other without a gap: what they wait for is then as late as the
        ``ready`` of positions.
    address_bits : int
        Of an address that are kept: those of the memory, or as many as an instruction has.
    coordinate_bits : int
        Of y and x that are kept, and of the counts of levels and the image's size, which must have
        no more.
    block_memories : bool
        Whether what levels have is made for block RAMs: right for an FPGA whose lookup tables can't
        be memories.
    registered : bool
        Whether positions are offered out of a register, and not behind the comparison with the
        image's size.

    Members
    -------
    settings : In(stream.Signature(LoopSetting))
        Sets a level; the count of ``run_levels`` is not used.
    bounds : In(stream.Signature(Bounds))
        Sets the image's size.
    runs : In(stream.Signature(run_layout(tag)))
        Starts a run.
    positions : Out(stream.Signature(position_layout(tag)))
        The run's positions, level 0 fastest.
    busy : Out(1)
        A position is still to be taken.
    """

    settings: stream.Interface
    bounds: stream.Interface
    runs: stream.Interface
    positions: stream.Interface
    busy: Signal

    def __init__(
        self,
        *,
        run_levels,
        tag=0,
        overlaps=True,
        address_bits=ADDRESS_BITS,
        coordinate_bits=COORDINATE_BITS,
        block_memories=False,
        registered=True,
    ):
        if len(set(run_levels)) != 2 or not set(run_levels) <= set(range(LOOP_LEVELS)):
            raise ValueError(
                f"run levels must be two different ones of 0 to {LOOP_LEVELS - 1}, "
                f"not {run_levels!r}"
            )
        self.run_levels = tuple(run_levels)
        self._overlaps = overlaps
        self._address_bits = address_bits
        self._coordinate_bits = coordinate_bits
        self._block_memories = block_memories
        self._registered = registered
        tag = unsigned(tag) if isinstance(tag, int) else tag
        super().__init__(
            {
                "settings": In(stream.Signature(LoopSetting)),
                "bounds": In(stream.Signature(Bounds)),
                "runs": In(stream.Signature(run_layout(tag))),
                "positions": Out(stream.Signature(position_layout(tag))),
                "busy": Out(1),
            }
        )

    # What levels have is kept in small memories, one entry for each: an FPGA has them in its lookup
    # tables, where registers would need wide multiplexers around them. One level at a time steps,
    # the lowest one that isn't in its last iteration; all below it begin again. A level that steps
    # notes the point at which its iteration begins and how many are left, so that one adder does. A
    # level in its first iteration has noted nothing: it began where the next level above it did
    # that isn't in its first one, or the run.
    #
    # Memories and adders begin a cycle with registers: the next step's levels are chosen the cycle
    # before, and whether it is a level's last one when the step before it is made. A run's values
    # are taken in every cycle that could start one, since whether one does is known late in it.

    def elaborate(self, platform):
        m = Module()

        point_layout = data.StructLayout(
            {
                "address": unsigned(self._address_bits),
                "y": signed(self._coordinate_bits),
                "x": signed(self._coordinate_bits),
            }
        )

        def per_level(shape, name, places=LOOP_LEVELS):
            kept = LevelMemory(shape=shape, places=places, block=self._block_memories)
            m.submodules[name] = kept
            return kept

        count_shape = unsigned(min(COUNT_BITS, self._coordinate_bits))
        # How many iterations a level has, and how many it has left, at twice its number and behind.
        counts = per_level(count_shape, "counts", 2 * LOOP_LEVELS)
        steps = per_level(point_layout, "steps")
        points = per_level(point_layout, "points", RUN_START + 1)
        run_counts = Signal(data.ArrayLayout(RUN_COUNT_BITS, 2), reset_less=True)
        single = Signal(LOOP_LEVELS, reset_less=True)  # levels of one iteration
        double = Signal(LOOP_LEVELS, reset_less=True)  # of two
        two_left = Signal(LOOP_LEVELS, reset_less=True)  # in their last iteration but one
        first = Signal(LOOP_LEVELS, reset_less=True)
        last = Signal(LOOP_LEVELS, reset_less=True)
        here = Signal(point_layout, reset_less=True)
        side = unsigned(self._coordinate_bits)
        bounds = Signal(data.StructLayout({"height": side, "width": side}), reset_less=True)
        tag = Signal.like(self.runs.payload.tag, reset_less=True)

        running = Signal()
        at_end = Signal(init=1)  # in the last position, or in none
        move = Signal()
        free = Signal()
        run, position, settings = self.runs, self.positions, self.settings
        m.d.comb += [
            move.eq(running & (~position.valid | position.ready)),
            free.eq(~running),
            run.ready.eq(free),
            settings.ready.eq(free & ~run.valid),
            self.bounds.ready.eq(free & ~run.valid),
            self.busy.eq(running | position.valid),
        ]
        starts = run.valid & ~running
        if self._overlaps:
            m.d.comb += free.eq(at_end & (~running | ~position.valid | position.ready))
            starts = run.valid
        # As of the settings.
        singles = Signal(LOOP_LEVELS, reset_less=True)
        doubles = Signal(LOOP_LEVELS, reset_less=True)
        set_level = settings.valid & settings.ready
        m.d.comb += [
            steps.store.eq(set_level),
            steps.stored_place.eq(settings.payload.level),
            steps.stored.address.eq(settings.payload.address_step),
            steps.stored.y.eq(settings.payload.y_step),
            steps.stored.x.eq(settings.payload.x_step),
        ]
        with m.If(set_level):
            place = settings.payload.level
            m.d.sync += [
                singles.bit_select(place, 1).eq(settings.payload.count == 1),
                doubles.bit_select(place, 1).eq(settings.payload.count == 2),
            ]
        with m.If(self.bounds.valid & self.bounds.ready):
            m.d.sync += [
                bounds.height.eq(self.bounds.payload.height),
                bounds.width.eq(self.bounds.payload.width),
            ]

        # The level that steps, and the one that has noted where its iteration began.
        level = Signal(LEVEL_BITS, reset_less=True)
        begins = Signal(reset_less=True)  # the level is in its first iteration
        remaining = Signal(count_shape)
        stepped = Signal(point_layout)
        m.d.comb += [
            remaining.eq(counts.value),
            stepped.address.eq(points.value.address + steps.value.address),
            stepped.y.eq(points.value.y + steps.value.y),
            stepped.x.eq(points.value.x + steps.value.x),
        ]
        for index, number in enumerate(self.run_levels):
            with m.If(begins & (level == number)):
                m.d.comb += remaining.eq(run_counts[index])

        # What comes next: the step's outcome, or a run. They are put together as late as possible.
        step_first, step_last = Signal(LOOP_LEVELS), Signal(LOOP_LEVELS)
        step_two_left = Signal(LOOP_LEVELS)
        left = Signal(count_shape)
        run_last, run_two_left = Signal(LOOP_LEVELS), Signal(LOOP_LEVELS)
        m.d.comb += [
            step_first.eq(first),
            step_last.eq(last),
            step_two_left.eq(two_left),
            counts.store.eq(Mux(at_end, set_level, move)),
            counts.stored_place.eq(Mux(at_end, Cat(0, settings.payload.level), Cat(1, level))),
            counts.stored.eq(Mux(at_end, settings.payload.count, left)),
            left.eq(remaining - 1),
            points.store.eq(~running | move),
            points.stored_place.eq(level),
            points.stored.eq(stepped),
        ]
        for number in range(LOOP_LEVELS):
            with m.If(level == number):
                m.d.comb += [
                    step_first[number].eq(0),
                    step_last[number].eq(
                        # Block RAMs come with clocks slow enough for this.
                        remaining == 2 if self._block_memories else two_left[number]
                    ),
                    step_two_left[number].eq(remaining == 3),
                ]
            with m.Elif(level > number):
                m.d.comb += [
                    step_first[number].eq(1),
                    step_last[number].eq(single[number]),
                    step_two_left[number].eq(double[number]),
                ]

        def own(number, settings, iterations):
            """Whether a level of the run has so many iterations."""
            if number in self.run_levels:
                return run.payload.counts[self.run_levels.index(number)] == iterations
            return settings[number] | run.payload.alone if iterations == 1 else settings[number]

        m.d.comb += [
            run_last.eq(Cat(own(number, singles, 1) for number in range(LOOP_LEVELS))),
            run_two_left.eq(Cat(own(number, doubles, 2) for number in range(LOOP_LEVELS))),
        ]
        with m.If(at_end):
            m.d.comb += points.stored_place.eq(RUN_START)
            for name in ("address", "y", "x"):
                m.d.comb += points.stored[name].eq(run.payload[name])
            with m.If(~running | move):
                m.d.sync += [
                    tag.eq(run.payload.tag),
                    run_counts.eq(run.payload.counts),
                    single.eq(run_last),
                    double.eq(run_two_left),
                ]
        # The level that steps next, and the one that has noted where its iteration began: none of
        # those below one that has just stepped.
        following = Signal(LEVEL_BITS)
        following_begins = Signal()
        noted = Signal(LEVEL_BITS)
        m.d.comb += [
            following.eq(Mux(at_end, _lowest(~run_last), _lowest(~step_last))),
            following_begins.eq(at_end),
            noted.eq(RUN_START),
        ]
        with m.If(~at_end):
            for number in reversed(range(LOOP_LEVELS)):
                with m.If(~step_last[number]):
                    m.d.comb += following_begins.eq(step_first[number])
                with m.If(~step_first[number] & ~step_last[: number + 1].all()):
                    m.d.comb += noted.eq(number)
        for kept, following_place in (
            (counts, Cat(~following_begins, following)),
            (steps, following),
            (points, noted),
        ):
            m.d.comb += [kept.take.eq(~running | move), kept.place.eq(following_place)]
        with m.If(~running | move):
            m.d.sync += [
                running.eq(~at_end | starts),
                at_end.eq(Mux(at_end, ~starts | run_last.all(), step_last.all())),
                here.eq(points.stored),
                first.eq(Mux(at_end, -1, step_first)),
                last.eq(Mux(at_end, run_last, step_last)),
                two_left.eq(Mux(at_end, run_two_left, step_two_left)),
                level.eq(following),
                begins.eq(following_begins),
                counts.latest.eq(left),
                counts.again.eq(~at_end & (following == level)),
                points.again.eq(at_end | (following <= level)),
            ]
        m.d.comb += points.latest.eq(here)

        valid = Signal()
        offered = Signal(position.payload.shape(), reset_less=True)
        m.d.comb += [position.valid.eq(valid), position.payload.eq(offered)]
        inside = Signal()
        m.d.comb += inside.eq(_within(here.y, bounds.height) & _within(here.x, bounds.width))
        now = [
            offered.address.eq(Mux(inside, here.address, 0)),
            offered.inside.eq(inside),
            offered.first.eq(first),
            offered.last.eq(last),
            offered.tag.eq(tag),
        ]
        if not self._registered:
            m.d.comb += [valid.eq(running), *now]
            return m
        with m.If(position.ready):
            m.d.sync += valid.eq(0)
        with m.If(move):
            m.d.sync += [valid.eq(1), *now]
        return m


def _lowest(levels):
    """The lowest of the levels whose bits are set, or `RUN_START`."""
    lowest = RUN_START
    for number in reversed(range(LOOP_LEVELS)):
        lowest = Mux(levels[number], number, lowest)
    return lowest


def _within(coordinate, size):
    """0 <= coordinate < size, for a signed coordinate."""
    unsigned_part = coordinate.as_unsigned()
    return ~unsigned_part[-1] & (unsigned_part[:-1] < size)
