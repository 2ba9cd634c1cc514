"""What the host does around the runs of a program: one thing after another, or transfers meanwhile.

The NPU's host port takes one access at a time and has finished it when it takes the next, so that
nothing is under way when START resets the units. While a program runs the host's accesses are
served in the cycles that the units leave.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.program import Program, Write
from celosia.golden.memory_map import Counter, Region, Status
from celosia.runtime.device import Inference
from celosia.sim.host_script import STATE_WORDS, HostScript, ScriptResult, state_of

PATIENCE = 20
"""A run may take this many times the compiler's estimate, and some, before it counts as hung."""

Answers = NDArray[np.uint32]

_STEADY = 4  # overlapping runs, so that two of them have all their transfers beside them


class Hung(Exception):
    """The NPU did not come to its HALT; the message says what every unit was doing."""


class Runs:
    """Appends to a script: load the program, then run it once for each element of `inputs`."""

    def __init__(
        self, program: Program, script: HostScript, inputs: Sequence[Sequence[Write]]
    ) -> None:
        image = np.frombuffer(program.image, np.uint8).reshape(-1, program.config.columns)
        script.write_vectors(Region.WEIGHTS, 0, image)
        alone = inputs[:1] if program.overlapping else inputs
        self._serial = [SerialRun(program, script, writes) for writes in alone]
        self._overlapping: OverlappingRuns | None = None
        self._rest = len(inputs) - len(alone)
        if program.overlapping:
            # Where there is only one input its run is measured again.
            rest = inputs[1:] or inputs
            self._overlapping = OverlappingRuns(program, script, rest, first=1)

    def inferences(self, result: ScriptResult) -> list[Inference]:
        """What each run left behind. Raises Hung where one did not end."""
        if result.timed_out:
            state = state_of(result.answers[-STATE_WORDS:])
            raise Hung(f"the NPU did not finish: {state.describe()}")
        inferences = [run.inference(result.answers) for run in self._serial]
        if self._overlapping is not None:
            inferences += self._overlapping.inferences(result.answers)[: self._rest]
        return inferences

    def cycles(self, result: ScriptResult) -> tuple[int, int | None]:
        """Cycles of a run with its transfers: one after another, and overlapping if they do."""
        overlapping = None
        if self._overlapping is not None:
            overlapping = self._overlapping.cycles(result.answers)
        return self._serial[0].cycles(result.answers), overlapping


class SerialRun:
    """Appends one run of the first entry to a script: write, start, wait, read."""

    def __init__(self, program: Program, script: HostScript, writes: Sequence[Write]) -> None:
        self._script = script
        begin = script.stamp()
        _write(script, writes)
        script.start(program.start)
        script.poll(Status.DONE, _limit(program))
        end = script.stamp()
        self._state = script.read_state()
        self._marks = script.read_vectors(Region.PROFILE, 0, _kept_layers(program))
        begin_reading = script.stamp()
        self._outputs = _read(program, script, 0)
        self._stamps = (begin, end, begin_reading, script.stamp())

    def inference(self, answers: Answers) -> Inference:
        """What the run left behind."""
        state = state_of(answers[self._state])
        marks = self._script.vectors(Region.PROFILE, answers[self._marks], np.uint32)
        return Inference(
            reads=_vectors(self._script, answers, self._outputs),
            counters=state.counters,
            marks=[{counter: int(entry[counter]) for counter in Counter} for entry in marks],
        )

    def cycles(self, answers: Answers) -> int:
        """Clock cycles of the run and its transfers, without those of reading counters."""
        begin, end, begin_reading, end_reading = self._stamps
        return _between(answers, begin, end) + _between(answers, begin_reading, end_reading)


class OverlappingRuns:
    """Appends runs of a program of two entries to a script, which take turns.

    While one is under way the host reads the outputs of the run before it, then writes the inputs
    of the run behind it. `first` numbers the first run; even ones take the first entry. The last
    input is used again until there are enough runs for a steady state.
    """

    def __init__(
        self, program: Program, script: HostScript, inputs: Sequence[Sequence[Write]], first: int
    ) -> None:
        self._script = script
        self._count = len(inputs)
        repeated = [*inputs, *[inputs[-1]] * (_STEADY - len(inputs))]
        entries = [number % 2 for number in range(first, first + len(repeated))]
        self._starts = []
        self._outputs = []
        _write(script, program.writes_for(entries[0], repeated[0]))
        for index, entry in enumerate(entries):
            self._starts.append(script.stamp())
            script.start(program.starts[entry])
            if index:
                self._outputs.append(_read(program, script, entries[index - 1]))
            if index + 1 < len(entries):
                following = program.writes_for(entries[index + 1], repeated[index + 1])
                _write(script, following)
            script.poll(Status.DONE, _limit(program))
        self._outputs.append(_read(program, script, entries[-1]))

    def inferences(self, answers: Answers) -> list[Inference]:
        """What the runs left behind; nobody reads their counters."""
        return [
            Inference(_vectors(self._script, answers, places))
            for places in self._outputs[: self._count]
        ]

    def cycles(self, answers: Answers) -> int:
        """Clock cycles from one start to the next in the steady state, rounded up."""
        # The first run has no outputs to be read beside it, and the last no inputs to be written.
        steady = len(self._starts) - 2
        return -(-_between(answers, self._starts[1], self._starts[-1]) // steady)


def _write(script: HostScript, writes: Sequence[Write]) -> None:
    for address, vectors in writes:
        script.write_vectors(Region.SCRATCHPAD, address, vectors)


def _read(program: Program, script: HostScript, entry: int) -> list[slice]:
    return [
        script.read_vectors(Region.SCRATCHPAD, port.addresses[entry], port.vectors(program.config))
        for port in program.outputs
    ]


def _vectors(
    script: HostScript, answers: Answers, places: Sequence[slice]
) -> list[NDArray[np.int8]]:
    return [script.vectors(Region.SCRATCHPAD, answers[place], np.int8) for place in places]


def _between(answers: Answers, begin: int, end: int) -> int:
    return int(answers[end] - answers[begin])  # both are modulo 2^32, as is their difference


def _limit(program: Program) -> int:
    estimate = sum(layer.estimated_cycles for layer in program.layers)
    return min(PATIENCE * estimate + 100_000, (1 << 32) - 1)


def _kept_layers(program: Program) -> int:
    return min(len(program.layers), program.config.profile_depth)
