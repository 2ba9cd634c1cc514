"""The whole NPU against the golden machine: memories after every instruction, and at the end."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celosia.golden.isa import Instruction
from celosia.golden.machine import Machine
from celosia.golden.memory_map import Counter, Region, Register, Status, memory_geometry
from celosia.sim.host_script import HostScript, ScriptResult, state_of
from celosia.sim.npu_simulation import NpuSimulation

_LIMIT = 2_000_000


class MemoriesDiffer(AssertionError):
    """The RTL's memories are not the golden machine's, or it never came to compare them."""


def check_every_instruction(
    simulation: NpuSimulation, machine: Machine, program: int
) -> list[Instruction]:
    """Run a program in step mode and compare scratchpad and accumulators after each instruction.

    Accumulators only where the configuration has them for the host.

    `machine` holds the program and its inputs and is run to its end; the simulation starts with the
    same contents. Returns the instructions executed.

    Raises:
        MemoriesDiffer: names the first instruction after which a byte differs, and where.
    """
    script = _script(machine)
    steps: list[_Point] = []
    machine.start(program)
    while not machine.halted:
        if steps:
            script.step()
        else:
            script.start(program, step_mode=True)
        steps.append(_Point.after(machine.step(), machine, script))
    result = simulation.run(script)
    for number, step in enumerate(steps):
        step.check(f"instruction {number} ({step.instruction})", script, result)
    return [step.instruction for step in steps]


def check_at_full_speed(
    simulation: NpuSimulation, machine: Machine, program: int
) -> dict[Counter, int]:
    """Run a program with all its overlap and compare scratchpad and accumulators at its end.

    Like `check_every_instruction` otherwise; returns the performance counters.
    """
    script = _script(machine)
    machine.start(program)
    script.start(program)
    while not machine.halted:
        last = machine.step()
    end = _Point.after(last, machine, script)
    result = simulation.run(script)
    end.check("the program", script, result)
    return state_of(result.answers[end.state]).counters


def _script(machine: Machine) -> HostScript:
    """A script that begins by writing the machine's memories."""
    script = HostScript(machine.config)
    script.write_vectors(Region.SCRATCHPAD, 0, machine.scratchpad)
    script.write_vectors(Region.WEIGHTS, 0, machine.weights)
    return script


@dataclass(frozen=True)
class _Snapshot:
    region: Region
    memory: NDArray[np.generic]
    answers: slice


@dataclass(frozen=True)
class _Point:
    """What the machine's memories held, and where the script's answers about the RTL's stand."""

    instruction: Instruction
    state: slice
    snapshots: list[_Snapshot]

    @classmethod
    def after(cls, instruction: Instruction, machine: Machine, script: HostScript) -> "_Point":
        """Wait for the NPU to be where the machine is, and read its memories."""
        return cls(
            instruction,
            script.wait(Status.STEPPED | Status.DONE, _LIMIT),
            [
                _Snapshot(region, memory.copy(), script.read_vectors(region, 0, len(memory)))
                for region, memory in (
                    (Region.SCRATCHPAD, machine.scratchpad),
                    (Region.ACCUMULATORS, machine.accumulators),
                )
                if memory_geometry(machine.config, region).depth
            ],
        )

    def check(self, what: str, script: HostScript, result: ScriptResult) -> None:
        """Raise MemoriesDiffer where the RTL never came here, or holds something else."""
        state = state_of(result.answers[self.state])
        if not state[Register.STATUS] & (Status.STEPPED | Status.DONE):
            raise MemoriesDiffer(f"{what} never ended: {state.describe()}")
        for snapshot in self.snapshots:
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
