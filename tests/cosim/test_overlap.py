"""Transfers beside computation in RTL: the bytes of one thing after another, in fewer cycles."""

from dataclasses import replace

import numpy as np
import pytest
from support.layerwise import random_inputs
from support.random_networks import random_network
from support.tflite_writer import ModelBuilder

from celosia.compiler.assembler import disassemble
from celosia.compiler.compile import compile_model
from celosia.golden.config import NpuConfig
from celosia.golden.isa import Drain, Halt
from celosia.golden.memory_map import Counter, Region, Status
from celosia.golden.rounding import RoundingProfile
from celosia.runtime.golden_device import GoldenDevice
from celosia.runtime.host_schedule import Hung
from celosia.runtime.rtl_device import RtlDevice
from celosia.sim.host_script import HostScript
from celosia.sim.npu_simulation import NpuSimulation

# The first one of test_npu, so that it is built once.
CONFIG = NpuConfig(
    name="small4x4",
    rows=4,
    columns=4,
    scratchpad_kib=16,
    weight_kib=96,
    accumulator_depth=32,
    requantizer_lanes=2,
    profiles=(RoundingProfile.TFLM,),
    queue_depth=3,
    profile_depth=8,
)
RUNS = 6


def inputs_of(program, seed):
    """The host's writes of several runs, each with inputs of its own."""
    return [program.prepare(random_inputs(program, 100 * seed + run))[1] for run in range(RUNS)]


def differing(program, seed):
    """Runs of a program whose outputs in RTL aren't the golden machine's, and the RTL device."""
    inputs = inputs_of(program, seed)
    device = RtlDevice(program)
    found, expected = (each.run(inputs) for each in (device, GoldenDevice(program)))
    wrong = [
        run
        for run, (mine, golden) in enumerate(zip(found, expected, strict=True))
        if not all(map(np.array_equal, mine.reads, golden.reads))
    ]
    return wrong, device


@pytest.mark.parametrize("batch", [1, 2])
def test_random_networks_with_overlapping_transfers(batch):
    for seed in range(2000, 2008):
        print(f"seed {seed}")
        program = compile_model(random_network(seed), CONFIG, batch=batch, overlap=True)
        assert program.overlapping
        wrong, device = differing(program, seed)
        assert not wrong
        assert device.measured.overlapping_cycles < device.measured.serial_cycles


def large_input():
    """Long to write, long to read, and computed for longer than either."""
    model = ModelBuilder(3)
    return compile_model(
        model.finish(model.conv(model.input((1, 16, 16, 4)), 4)), CONFIG, overlap=True
    )


def test_transfers_cost_little_where_computation_takes_longer():
    program = large_input()
    wrong, device = differing(program, 1)
    assert not wrong
    (single,) = device.run(inputs_of(program, 1)[:1])
    cycles = single.counters[Counter.CYCLES]
    # Each of 256 words that the host reads may take its turn from the array; a start takes two
    # writes, and the last poll a few cycles.
    assert cycles <= device.measured.overlapping_cycles <= cycles + 256 + 20
    assert device.measured.serial_cycles >= cycles + 256 + 3 * 256


def test_transfers_that_take_longer_than_computation_set_the_pace():
    model = ModelBuilder(4)
    x = model.input((1, 12, 12, 4))
    program = compile_model(model.finish(model.pool(x, "MAX", (1, 1))), CONFIG, overlap=True)
    wrong, device = differing(program, 1)
    assert not wrong
    (single,) = device.run(inputs_of(program, 1)[:1])
    assert device.measured.overlapping_cycles > single.counters[Counter.CYCLES] + 20


def test_inputs_that_are_written_over_a_running_program_are_found():
    program = large_input()
    shared = [
        tuple(replace(port, addresses=port.addresses[:1] * 2) for port in ports)
        for ports in (program.inputs, program.outputs)
    ]
    same = replace(program, starts=program.starts[:1] * 2, inputs=shared[0], outputs=shared[1])
    wrong, _ = differing(same, 1)
    assert wrong


def test_a_second_entry_that_hangs_is_told():
    program = large_input()
    listing = disassemble(CONFIG, program.image, program.starts[1])
    address, drain = next((a, i) for a, i in listing if isinstance(i, Drain))
    assert any(isinstance(i, Halt) for _, i in listing)
    image = bytearray(program.image)
    first = address * CONFIG.columns
    image[first : first + 16] = replace(drain, wait=0x7F).encode().to_bytes(16, "little")
    device = RtlDevice(replace(program, image=bytes(image)))
    with pytest.raises(Hung, match=r"the NPU did not finish: .* post waiting semaphore; "):
        device.run(inputs_of(program, 1))


def test_stamps_count_clock_cycles():
    script = HostScript(CONFIG)
    begin = script.stamp()
    script.write_vectors(Region.SCRATCHPAD, 0, np.zeros((50, 4), np.int8))
    end = script.stamp()
    again = script.stamp()
    script.poll(Status.DONE, 100)
    result = NpuSimulation(CONFIG).run(script)
    assert result.timed_out
    # A command is fetched in one cycle; a word is written in each of the next.
    assert result.answers[end] - result.answers[begin] == 51
    assert result.answers[again] == result.answers[end]
    assert result.cycles - result.answers[end] >= 100
