"""The whole NPU in RTL: memories and counters against the golden machine, on random networks."""

from dataclasses import replace

import numpy as np
import pytest
from support.cycles import assert_counters_modelled
from support.layerwise import random_inputs
from support.networks import FAMILIES
from support.npu_programs import loaded, tour
from support.random_networks import random_network
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.golden_run import load_machine
from celosia.golden.config import NpuConfig
from celosia.golden.errors import DoesNotFit
from celosia.golden.isa import (
    Add,
    Depthwise,
    Drain,
    Halt,
    LoadParameters,
    LoadWeights,
    Matmul,
    MatrixInput,
    MatrixLoop,
    Mul,
    Pool,
    PostOutput,
    Semaphore,
)
from celosia.golden.machine import Machine
from celosia.golden.memory_map import Counter, Region, Status
from celosia.golden.rounding import RoundingProfile
from celosia.golden.timing import model_cycles
from celosia.runtime.host_schedule import Hung
from celosia.runtime.rtl_device import RtlDevice
from celosia.sim.host_script import HostScript, state_of
from celosia.sim.npu_lockstep import (
    MemoriesDiffer,
    check_at_full_speed,
    check_every_instruction,
)
from celosia.sim.npu_simulation import NpuSimulation

PROFILES = tuple(RoundingProfile)


def small(rows, columns, lanes, *, taps, profiles=PROFILES, depth=32, profile_depth=8, **more):
    """An NPU with memories just large enough for small networks, so that reading them is quick."""
    return NpuConfig(
        name=f"small{rows}x{columns}",
        rows=rows,
        columns=columns,
        scratchpad_kib=20,
        weight_kib=96,
        accumulator_depth=depth,
        requantizer_lanes=lanes,
        profiles=profiles,
        depthwise_taps=taps,
        profile_depth=profile_depth,
        **{"queue_depth": 3, **more},
    )


CONFIGS = [
    small(4, 4, 2, taps=3, profiles=PROFILES[:1], requantizer_bits=16, queue_depth=2),
    small(6, 10, 3, taps=2, depth=24),
    small(10, 6, 5, taps=4),
    small(8, 8, 8, taps=0, depth=64, profile_depth=0),
]
DRAINING = [
    small(
        4,
        4,
        1,
        taps=0,
        profiles=PROFILES[:1],
        profile_depth=0,
        requantizer_bits=16,
        queue_depth=1,
        vector_operations=False,
    ),
    small(6, 10, 3, taps=2, depth=24, vector_operations=False, queue_depth=0, coordinate_bits=9),
    small(10, 6, 5, taps=0, vector_operations=False, readable_sums=False),
    small(
        4,
        6,
        1,
        taps=2,
        profiles=PROFILES[:1],
        profile_depth=0,
        requantizer_bits=1,
        queue_depth=0,
        vector_operations=False,
        coordinate_bits=9,
        readable_sums=False,
    ),
]
"""Without vector operations."""
NETWORKS = 12


def networks(config, first, *, holes=False):
    """The first random networks that fit, compiled, with their seeds; a third makes two inferences.

    Draws change as operators are added, and now and then one is too large for these memories.
    """
    made = 0
    for seed in range(first, first + 2 * NETWORKS):
        if made == NETWORKS:
            return
        print(f"seed {seed}")
        profile = config.profiles[seed % len(config.profiles)]
        batch = 2 if seed % 3 == 0 else 1
        data = random_network(seed, holes=holes)
        try:
            program = compile_model(data, config, profile, batch=batch)
        except DoesNotFit:
            continue
        made += 1
        yield seed, program
    assert made == NETWORKS, f"only {made} networks fit"


@pytest.mark.parametrize("config", CONFIGS + DRAINING, ids=lambda config: config.name)
def test_memories_equal_after_every_instruction(config):
    program = tour(config)
    executed = check_every_instruction(NpuSimulation(config), loaded(program, 1), program.start)
    expected = {Matmul, Drain} | ({Depthwise} if config.depthwise_taps else set())
    expected |= {Add, Mul, Pool} if config.vector_operations else set()
    assert expected <= {type(instruction) for instruction in executed}


@pytest.mark.parametrize("config", DRAINING, ids=lambda config: config.name)
def test_without_vector_operations_memories_and_counters_are_right(config):
    simulation = NpuSimulation(config)
    for profile in config.profiles:
        program = compile_model(draining_network(), config, profile)
        counters = check_at_full_speed(simulation, loaded(program, 1), program.start)
        assert_counters_modelled(program, counters, Counter)


@pytest.mark.parametrize(("passes", "rows", "settings"), [(20, 1, 80), (10, 4, 60), (3, 1, 20)])
def test_without_queues_instructions_start_when_the_model_says(passes, rows, settings):
    """Settings behind a MATMUL that waits for the one before it, which waits for its tiles."""
    config = DRAINING[1]
    loops = [
        MatrixLoop(level=level, count=passes if level == 2 else 1, address_step=1)
        for level in range(5)
    ]
    matmul = Matmul(address=0, y=0, x=0, accumulator=0, rows=rows, columns=1)
    setting = PostOutput(column_step=1, row_step=1, mode=0, zero_point=0, low=-128, high=127)
    program = [
        *loops,
        MatrixInput(height=9, width=9, padding=0),
        LoadWeights(address=4000, tiles=2 * passes),
        *[matmul] * 2,
        *[setting] * settings,
        Halt(),
    ]
    assert_instructions_modelled(config, program)


@pytest.mark.parametrize("config", [*CONFIGS, DRAINING[3]], ids=lambda config: config.name)
def test_drains_behind_each_other_start_when_the_model_says(config):
    """Compiled networks hardly notice when one may start: it is the array that POST waits for."""
    output = PostOutput(column_step=1, row_step=9, mode=0, zero_point=3, low=-128, high=127)
    sizes = [(1, 1), (1, 1), (2, 3), (1, 4), (3, 2), (1, 1)]
    drains = [
        Drain(accumulator=0, output=9 * number, rows=rows, columns=columns, vectors=1)
        for number, (rows, columns) in enumerate(sizes)
    ]
    planes = config.parameter_vectors  # of zeros, behind the program
    parameters = LoadParameters(address=config.weight_depth - planes, planes=planes)
    assert_instructions_modelled(config, [output, parameters, *drains, Halt()])


def assert_instructions_modelled(config, program):
    """It leaves what it leaves on the golden machine, and the counters of the cycle model."""
    machine = Machine(config)
    vectors = config.instruction_vectors
    for number, instruction in enumerate(program):
        word = instruction.encode().to_bytes(vectors * config.columns, "little")
        machine.weights[number * vectors :][:vectors] = np.frombuffer(word, np.uint8).reshape(
            vectors, -1
        )
    counters = check_at_full_speed(NpuSimulation(config), machine, 0)
    modelled = model_cycles(config, program).counters
    assert counters == {counter: modelled[counter] for counter in counters}


def draining_network():
    """What an NPU without vector operations has: everything but arithmetic of single values."""
    model = ModelBuilder(3)
    x = model.conv(model.input((1, 9, 8, 3)), 10, (3, 3), activation="RELU")
    x = model.pool(model.depthwise(x, (3, 3)), "AVERAGE", (3, 2), stride=(1, 1))
    x = model.conv(model.pad(x, ((0, 0), (1, 1), (0, 1), (0, 0))), 7, (1, 1))
    x = model.reshape(model.mean(x), (1, 7))
    return model.finish(model.fully_connected(x, 11))


@pytest.mark.parametrize("holes", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_random_networks_leave_equal_memories(config, holes):
    simulation = NpuSimulation(config)
    for seed, program in networks(config, 1000, holes=holes):
        counters = check_at_full_speed(simulation, loaded(program, seed), program.start)
        waits = [n for c, n in counters.items() if c.name.startswith("MATRIX_")]
        assert sum(waits) == counters[Counter.CYCLES]
        # Where passes are skipped one by one, the model tells reasons to wait apart less well.
        assert_counters_modelled(program, counters, [Counter.CYCLES] if holes else Counter)


@pytest.mark.parametrize("config", CONFIGS[:2], ids=lambda config: config.name)
def test_networks_of_every_family_leave_equal_memories(config):
    simulation = NpuSimulation(config)
    for name, network in FAMILIES.items():
        print(name)
        program = compile_model(network(1), config)
        check_at_full_speed(simulation, loaded(program, 1), program.start)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_results_that_take_the_place_of_what_was_read_leave_equal_memories(config):
    model = ModelBuilder(8)
    # Images of which two don't fit.
    shape = (1, config.scratchpad_depth * 3 // 5 // 24, 24, config.rows)
    x = model.conv(model.input(shape), config.rows, (3, 3), activation="RELU")
    x = model.conv(model.depthwise(x, (3, 3)), config.rows, (1, 1))
    program = compile_model(model.finish(x), config)
    check_at_full_speed(NpuSimulation(config), loaded(program, 1), program.start)


def test_the_comparison_can_fail():
    config = CONFIGS[0]
    program = tour(config)
    simulation = NpuSimulation(config)

    class Wrong(Machine):
        def step(self):
            instruction = super().step()
            if isinstance(instruction, Add):
                self.scratchpad[instruction.output, 0] ^= 1
            return instruction

    machine = loaded(program, 1)
    machine.__class__ = Wrong
    with pytest.raises(MemoriesDiffer, match=r"after instruction \d+ \(ADD .*SCRATCHPAD differ"):
        check_every_instruction(simulation, machine, program.start)


def test_a_hang_ends_with_the_state_of_every_unit():
    config = CONFIGS[0]
    program = tour(config)
    address, matmul = first_matmul(load_machine(program), program.start)
    stuck = replace(matmul, wait=Semaphore.DRAINED).encode()
    size = config.instruction_vectors * config.columns
    image = bytearray(program.image)
    image[address * config.columns : address * config.columns + size] = stuck.to_bytes(
        size, "little"
    )
    device = RtlDevice(replace(program, image=bytes(image)))
    with pytest.raises(Hung) as caught:
        device.run([program.prepare(random_inputs(program, 1))[1]])
    message = str(caught.value)
    for part in (
        "matrix waiting semaphore",
        "post waiting semaphore",
        "instructions waiting: load",
        "semaphores: accumulated 0, drained 0",
        "program counter: ",
        "layers done: 0",
    ):
        assert part in message, message


SETTING = PostOutput(column_step=1, row_step=1, mode=0, zero_point=0, low=-1, high=1)
FAULTY = {
    "tile before an illegal opcode": [LoadWeights(address=0, tiles=1), None],
    "tiles that no MATMUL takes": [LoadWeights(address=0, tiles=2), None],
    "semaphore that nothing raises": [replace(SETTING, wait=Semaphore.STORED), None],
    "tile before HALT": [LoadWeights(address=3, tiles=1), Halt()],
}


@pytest.mark.parametrize("faulty", FAULTY.values(), ids=FAULTY)
def test_a_faulty_program_leaves_nothing_to_the_next(faulty):
    config = CONFIGS[0]
    program = tour(config)
    machine = loaded(program, 1)
    faulty_start = len(program.image) // config.columns
    vectors = np.concatenate([instruction_vectors(config, i) for i in faulty])
    machine.weights[faulty_start : faulty_start + len(vectors)] = vectors
    script = written(machine)
    script.start(faulty_start)
    script.wait(Status.ILLEGAL if None in faulty else Status.DONE, 1000)
    script.start(program.start)
    assert_scratchpad_at_end(script, machine, program)


def test_host_accesses_do_not_disturb_a_running_program():
    config = CONFIGS[0]
    program = tour(config)
    machine = loaded(program, 1)
    script = written(machine)
    script.start(program.start)
    script.start(0)  # ignored: it runs
    unused = {
        Region.SCRATCHPAD: (
            machine.scratchpad,
            max(t.address + t.vectors for t in program.tensors),
        ),
        Region.WEIGHTS: (machine.weights, len(program.image) // config.columns),
    }
    for _ in range(20):
        for region, (memory, first) in unused.items():
            memory[first : first + 8] += 1
            script.write_vectors(region, first, memory[first : first + 8])
        for region in (*unused, Region.ACCUMULATORS, Region.PROFILE):
            script.read_vectors(region, 0, 8)
    assert_scratchpad_at_end(script, machine, program)


def instruction_vectors(config, instruction):
    """Weight vectors of an instruction; an illegal one for None."""
    size = config.instruction_vectors * config.columns
    word = 0xEE if instruction is None else instruction.encode()
    return np.frombuffer(word.to_bytes(size, "little"), np.uint8).reshape(-1, config.columns)


def written(machine):
    """A script that begins by writing the machine's memories."""
    script = HostScript(machine.config)
    script.write_vectors(Region.SCRATCHPAD, 0, machine.scratchpad)
    script.write_vectors(Region.WEIGHTS, 0, machine.weights)
    return script


def assert_scratchpad_at_end(script, machine, program):
    """Run the script to the end of `program`: the machine's scratchpad is the RTL's."""
    machine.run(program.start)
    state = script.wait(Status.DONE, 20_000)
    place = script.read_vectors(Region.SCRATCHPAD, 0, len(machine.scratchpad))
    result = NpuSimulation(machine.config).run(script)
    assert not result.timed_out
    assert state_of(result.answers[state]).done
    found = script.vectors(Region.SCRATCHPAD, result.answers[place], np.int8)
    np.testing.assert_array_equal(found, machine.scratchpad)


def first_matmul(machine, start):
    """The program's first MATMUL and its address."""
    machine.start(start)
    while True:
        address = machine.program_counter
        instruction = machine.step()
        if isinstance(instruction, Matmul):
            return address, instruction
