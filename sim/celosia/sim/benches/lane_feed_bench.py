"""Bench of `celosia.hdl.npu.lane_feed.LaneFeed`: every lane's operands, in phases of one kind."""

from typing import Any

import cocotb
from amaranth.lib import data

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import ADDRESS_BITS, FACTOR_BITS
from celosia.hdl.npu.interfaces import vector
from celosia.hdl.npu.lane_feed import feed_tag
from celosia.hdl.npu.operand_tables import TABLE_ENTRIES
from celosia.hdl.npu.output_addresses import OutputAddress
from celosia.hdl.npu.parameter_registers import parameters_layout
from celosia.hdl.npu.requantizer_steps import RequantizerInput
from celosia.hdl.npu.tap_reducer import SUM_BITS
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import fields_of, pack_fields
from celosia.sim.stalls import Stall

VECTORS = 30
KINDS = ("drain", "add", "mul", "pool")
MULTIPLIER_BITS = 53
"""As the launcher makes it."""


def wrap(value: int, bits: int = 32) -> int:
    """The low bits as two's complement."""
    half = 1 << (bits - 1)
    return (value + half) % (2 * half) - half


class Phase:
    """Vectors of one kind, with what stands still meanwhile, and the beats that they become."""

    def __init__(self, feed: "FeedBench", kind: str) -> None:
        self._feed, self._rng = feed, feed.bench.rng
        config = feed.config
        self.kind = kind
        self.uniform = kind != "drain" or bool(self._rng.getrandbits(1))
        self.vectors: list[int] = []
        self.addresses: list[int] = []
        self.beats: list[int] = []
        self.slice = self._rng.randint(0, config.tile_slices)
        self._parameters = [self._random_parameters() for _ in range(config.columns)]
        self._scale = self._random_parameters()
        for _ in range(VECTORS):
            if kind == "drain":
                self._add_drained()
            else:
                self._add_reduced()

    def apply(self, dut: Any) -> None:
        """Set the ports that must not change during the phase."""
        dut.draining.value = self.kind == "drain"
        dut.reducing.value = self.kind != "drain"
        dut.adding.value = self.kind == "add"
        dut.multiplying.value = self.kind == "mul"
        dut.uniform.value = self.uniform
        dut.parameters.value = pack_fields(self._feed.parameters, self._parameters)
        dut.scale.value = pack_fields(parameters_layout(MULTIPLIER_BITS), self._scale)
        if self._feed.config.tile_slices > 1:
            dut.slice.value = self.slice

    def _byte(self) -> int:
        return self._rng.randrange(-128, 128)

    def _int32(self) -> int:
        return self._rng.randrange(-(2**31), 2**31)

    def _random_parameters(self) -> dict[str, int]:
        multiplier = self._rng.getrandbits(MULTIPLIER_BITS)
        return {"bias": self._int32(), "multiplier": multiplier, "exponent": self._byte()}

    def _add_drained(self) -> None:
        config = self._feed.config
        sums = [self._int32() for _ in range(config.columns)]
        self.vectors.append(pack_fields(self._feed.drained, sums))
        count = self._rng.randint(1, config.tile_vectors)
        for v in range(count):
            columns = [
                v * config.rows + lane if config.tile_slices == 1 else lane % config.columns
                for lane in range(config.rows)
            ]
            lanes = []
            for column in columns:
                own = self._parameters[column]
                scale = {**self._scale, "bias": own["bias"]} if self.uniform else own
                lanes.append({"acc": sums[column], **scale})
            self._add_beats(lanes, pixel_end=v == count - 1)

    def _add_reduced(self) -> None:
        values = [self._int32() for _ in range(self._feed.config.rows)]
        self.vectors.append(pack_fields(self._feed.reduced, values))
        if self.kind in ("add", "mul"):  # of a pair's two bytes nothing stands above them
            a, b = self._feed.tables
            terms = [(a[x & 0xFF], b[x >> 8 & 0xFF]) for x in values]
            if self.kind == "add":
                values = [wrap(x + y) for x, y in terms]
            else:
                values = [wrap(x, FACTOR_BITS) * wrap(y, FACTOR_BITS) for x, y in terms]
        lanes = [{"acc": value, **self._scale} for value in values]
        self._add_beats(lanes, pixel_end=bool(self._rng.getrandbits(1)))

    def _add_beats(self, lanes: list[dict[str, int]], *, pixel_end: bool) -> None:
        config = self._feed.config
        address, last = self._rng.getrandbits(ADDRESS_BITS), self._rng.getrandbits(1)
        of_vector = {"address": address, "pixel_end": pixel_end, "last": last}
        self.addresses.append(pack_fields(OutputAddress, of_vector))
        step = config.requantizer_lanes
        for first in range(0, config.rows, step):
            tag = {"address": address, "vector_end": first + step == config.rows, "last": last}
            if config.tile_slices > 1:
                tag["slice"] = self.slice
            beat = {"lanes": lanes[first : first + step], "tag": tag}
            self.beats.append(pack_fields(self._feed.beat, beat))


class FeedBench:
    """The running bench with its layouts, and the tables once they are written."""

    def __init__(self, bench: BlockBench) -> None:
        self.bench = bench
        self.config = config = config_from_mapping(bench.parameters, default_name="bench")
        self.drained = vector(config.columns, SUM_BITS)
        self.reduced = vector(config.rows, SUM_BITS)
        self.parameters = data.ArrayLayout(parameters_layout(MULTIPLIER_BITS), config.columns)
        self.beat = RequantizerInput(
            lanes=config.requantizer_lanes, multiplier_bits=MULTIPLIER_BITS, tag=feed_tag(config)
        )
        self.tables: list[list[int]] = []

    @classmethod
    async def start(cls, dut: Any) -> "FeedBench":
        """Reset, and fill the tables."""
        dut.table_enable.value = 0
        feed = cls(await BlockBench.start(dut))
        rng = feed.bench.rng
        feed.tables = [
            [rng.randrange(-(2**31), 2**31) for _ in range(TABLE_ENTRIES)] for _ in range(2)
        ]
        dut.table_enable.value = 1
        for table, values in enumerate(feed.tables):
            for entry, value in enumerate(values):
                dut.table.value, dut.entry.value = table, entry
                dut.value.value = value % (1 << 32)
                await feed.bench.cycles(1)
        dut.table_enable.value = 0
        return feed

    def random_phases(self) -> list[Phase]:
        """Kinds in random order, each more than once."""
        return [Phase(self, kind) for kind in self.bench.rng.sample(KINDS * 2, 8)]

    def decode(self, payload: int) -> object:
        """Fields of a beat, for messages."""
        return fields_of(self.beat, payload)


STALLS = [Stall.NEVER, Stall.HALF, Stall.BURSTS]


@cocotb.test()
@cocotb.parametrize(vectors_stall=STALLS, addresses_stall=STALLS, o_stall=STALLS)
async def lanes_get_their_operands(
    dut: Any, vectors_stall: Stall, addresses_stall: Stall, o_stall: Stall
) -> None:
    """Vectors of phases to come are on offer all the time."""
    feed = await FeedBench.start(dut)
    bench, phases = feed.bench, feed.random_phases()
    for name, kinds in (("drained", KINDS[:1]), ("reduced", KINDS[1:])):
        vectors = [each for phase in phases if phase.kind in kinds for each in phase.vectors]
        cocotb.start_soon(bench.source(name, vectors_stall).send(vectors))
    addresses, sink = bench.source("addresses", addresses_stall), bench.sink("o", o_stall)
    for phase in phases:
        phase.apply(dut)
        cocotb.start_soon(addresses.send(phase.addresses))
        await sink.check(phase.beats, feed.decode)
        await sink.check_quiet(4)


@cocotb.test()
@cocotb.parametrize(kind=list(KINDS))
async def beats_pass_at_the_rate_of_the_lanes(dut: Any, kind: str) -> None:
    feed = await FeedBench.start(dut)
    bench, phase = feed.bench, Phase(feed, kind)
    sink = bench.sink("o")
    phase.apply(dut)
    await bench.cycles(1)
    start = bench.cycle
    name = "drained" if kind == "drain" else "reduced"
    cocotb.start_soon(bench.source(name).send(phase.vectors))
    cocotb.start_soon(bench.source("addresses").send(phase.addresses))
    for number, beat in enumerate(phase.beats):
        await sink.check([beat], feed.decode)
        # A beat enters in the last of its cycles, and is there three cycles later.
        taken = (number + 1) * feed.config.requantizer_cycles
        assert bench.cycle - start == taken + 3, f"beat {number} after {bench.cycle - start}"


@cocotb.test()
@cocotb.parametrize(kind=list(KINDS))
async def three_beats_are_held_while_the_output_waits(dut: Any, kind: str) -> None:
    feed = await FeedBench.start(dut)
    bench, phase = feed.bench, Phase(feed, kind)
    dut.o__ready.value = 0
    phase.apply(dut)
    name = "drained" if kind == "drain" else "reduced"
    cocotb.start_soon(bench.source(name).send(phase.vectors))
    cocotb.start_soon(bench.source("addresses").send(phase.addresses))
    await bench.cycles(20)
    assert dut.o__valid.value
    assert not dut.addresses__ready.value
    assert not getattr(dut, f"{name}__ready").value
    sink = bench.sink("o")
    await sink.check(phase.beats, feed.decode)


@cocotb.test()
async def one_cycle_of_reset_empties_all_stages(dut: Any) -> None:
    feed = await FeedBench.start(dut)
    bench, phase = feed.bench, Phase(feed, "pool")
    dut.o__ready.value = 0
    phase.apply(dut)
    tasks = [
        cocotb.start_soon(bench.source("reduced").send(phase.vectors)),
        cocotb.start_soon(bench.source("addresses").send(phase.addresses)),
    ]
    await bench.cycles(20)
    for task in tasks:
        task.cancel()
    await bench.reset(1)
    sink = bench.sink("o")
    await sink.check_quiet(5)


@cocotb.test()
async def reset_empties_it(dut: Any) -> None:
    feed = await FeedBench.start(dut)
    bench = feed.bench
    names = ("drained", "reduced", "addresses")
    sources = {name: bench.source(name, Stall.HALF) for name in names}
    sink = bench.sink("o", Stall.HALF)
    for _ in range(20):
        for cut in (True, False):
            phase = Phase(feed, bench.rng.choice(KINDS))
            phase.apply(dut)
            name = "drained" if phase.kind == "drain" else "reduced"
            tasks = [
                cocotb.start_soon(sources[name].send(phase.vectors)),
                cocotb.start_soon(sources["addresses"].send(phase.addresses)),
            ]
            if cut:
                await bench.cycles(bench.rng.randrange(2, 40))
                for task in tasks:
                    task.cancel()
                await bench.reset()
                await sink.check_quiet(4)
            else:
                await sink.check(phase.beats, feed.decode)
                await sink.check_quiet(4)
