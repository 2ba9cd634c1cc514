"""The whole NPU against the golden machine, memory by memory, after every instruction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celosia.golden.isa import Instruction
from celosia.golden.machine import Machine
from celosia.golden.memory_map import Region, Register, Status
from celosia.sim.host_script import HostScript, state_of
from celosia.sim.npu_simulation import NpuSimulation

_STEP_LIMIT = 200_000


class MemoriesDiffer(AssertionError):
    """The RTL's memories are not the golden machine's after an instruction."""


@dataclass(frozen=True)
class _Snapshot:
    region: Region
    memory: NDArray[np.generic]
    answers: slice


@dataclass(frozen=True)
class _Step:
    instruction: Instruction
    state: slice
    snapshots: list[_Snapshot]


def check_every_instruction(
    simulation: NpuSimulation, machine: Machine, program: int
) -> list[Instruction]:
    """Run a program in step mode and compare scratchpad and accumulators after each instruction.

    `machine` holds the program and its inputs and is run to its end; the simulation starts with the
    same contents. Returns the instructions executed.

    Raises:
        MemoriesDiffer: names the first instruction after which a byte differs, and where.
    """
    script = HostScript(machine.config)
    script.write_vectors(Region.SCRATCHPAD, 0, machine.scratchpad)
    script.write_vectors(Region.WEIGHTS, 0, machine.weights)
    steps: list[_Step] = []
    machine.start(program)
    while not machine.halted:
        if steps:
            script.step()
        else:
            script.start(program, step_mode=True)
        instruction = machine.step()
        steps.append(
            _Step(
                instruction,
                script.wait(Status.STEPPED | Status.DONE, _STEP_LIMIT),
                [
                    _Snapshot(region, memory.copy(), script.read_vectors(region, 0, len(memory)))
                    for region, memory in (
                        (Region.SCRATCHPAD, machine.scratchpad),
                        (Region.ACCUMULATORS, machine.accumulators),
                    )
                ],
            )
        )
    result = simulation.run(script)
    for number, step in enumerate(steps):
        what = f"instruction {number} ({step.instruction})"
        state = state_of(result.answers[step.state])
        if not state[Register.STATUS] & (Status.STEPPED | Status.DONE):
            raise MemoriesDiffer(f"{what} never ended: {state.describe()}")
        for snapshot in step.snapshots:
            answers = result.answers[snapshot.answers]
            found = script.vectors(snapshot.region, answers, snapshot.memory.dtype.type)
            bad = np.argwhere(found != snapshot.memory)
            if len(bad):
                vector, lane = bad[0]
                raise MemoriesDiffer(
                    f"after {what} {len(bad)} values of {snapshot.region.name} differ, the first "
                    f"in vector {vector}, lane {lane}: {found[vector, lane]}, "
                    f"not {snapshot.memory[vector, lane]}"
                )
    return [step.instruction for step in steps]
