"""Accuracy of networks over sweeps of conditions, with many seeds."""

import os
import statistics
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.devices.load import load_device
from celosia.runtime.crossbar.accuracy import Conditions, Network
from celosia.runtime.crossbar.sweeps import DEFAULT_PRESETS, Line, Plan, Sweep, draws, plans


@dataclass(frozen=True)
class Point:
    """Accuracy at one value: of all seeds, and its mean, standard deviation and ends."""

    value: float
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.accuracies)

    @property
    def std(self) -> float:
        """Standard deviation over the seeds, of the sample; 0 of one seed."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        """The point as plain values."""
        return {
            "value": self.value,
            "mean": self.mean,
            "std": self.std,
            "min": min(self.accuracies),
            "max": max(self.accuracies),
            "seeds": len(self.accuracies),
            "accuracies": list(self.accuracies),
        }


@dataclass(frozen=True)
class CurveResult:
    """A curve and its points."""

    line: Line
    points: tuple[Point, ...]


@dataclass(frozen=True)
class SweepResult:
    """A sweep of a device's conditions, or of the presets: its curves."""

    sweep: Sweep
    plan: Plan
    device: str
    curves: tuple[CurveResult, ...]

    def to_json(self) -> dict[str, Any]:
        """The sweep as plain values."""
        return {
            "sweep": str(self.sweep),
            "axis": self.plan.axis,
            "device": self.device,
            **({"names": list(self.plan.names)} if self.plan.names else {}),
            "curves": [
                {
                    "name": curve.line.name,
                    "network": curve.line.network,
                    "remedies": vars(curve.line.remedies),
                    "points": [point.to_json() for point in curve.points],
                }
                for curve in self.curves
            ],
        }

    def to_csv(self) -> str:
        """A row for each point of each curve."""
        rows = ["curve,value,mean,std,min,max,seeds"]
        for curve in self.curves:
            for point in curve.points:
                values = point.to_json()
                numbers = ",".join(f"{values[key]:.6g}" for key in ("mean", "std", "min", "max"))
                name = self.plan.names[int(point.value)] if self.plan.names else f"{point.value:g}"
                rows.append(f'"{curve.line.name}",{name},{numbers},{values["seeds"]}')
        return "\n".join(rows) + "\n"


@dataclass(frozen=True)
class _Job:
    curve: int
    point: int
    seed: int
    conditions: Conditions


class Characterisation:
    """Networks on threads, each with networks of its own; a context.

    Args:
        networks: what makes each network, by name; curves of others are left out.
        seeds: what is drawn is drawn once with each.
        workers: threads; as many as there are processors where None.
    """

    def __init__(
        self,
        networks: Mapping[str, Callable[[], Network]],
        seeds: Sequence[int],
        workers: int | None = None,
    ) -> None:
        self._networks, self._seeds = networks, seeds
        self._pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
        self._own = threading.local()
        self._limits = threadpool_limits(limits=None)

    def __enter__(self) -> "Characterisation":
        # Threads that multiply matrices on threads of their own wait for each other.
        self._limits = threadpool_limits(limits=1, user_api="blas")
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._limits.restore_original_limits()

    def evaluations(self, sweep: Sweep, device: Device | None) -> int:
        """How many runs of all samples a sweep takes."""
        return sum(1 for _ in self._jobs(plans()[sweep], _base(sweep, device)))

    def run(
        self, sweep: Sweep, device: Device | None, on_done: Callable[[], None] = lambda: None
    ) -> SweepResult:
        """A sweep of conditions of a device (its default where None); `on_done` is told after each
        of `evaluations`.

        Raises:
            CelosiaError: the conditions can't be.
        """

        def evaluate(job: _Job) -> float:
            line = lines[job.curve]
            accuracy = self._network(line.network).accuracy(job.conditions, line.remedies, job.seed)
            on_done()
            return accuracy

        plan, base = plans()[sweep], _base(sweep, device)
        lines, jobs = self._lines(plan), list(self._jobs(plan, base))
        accuracies: dict[tuple[int, int], list[float]] = {}
        for job, accuracy in zip(jobs, self._pool.map(evaluate, jobs), strict=True):
            accuracies.setdefault((job.curve, job.point), []).append(accuracy)
        curves = tuple(
            CurveResult(
                line,
                tuple(
                    Point(value, tuple(accuracies[curve, point]))
                    for point, value in enumerate(plan.values)
                ),
            )
            for curve, line in enumerate(lines)
        )
        return SweepResult(sweep, plan, "presets" if plan.names else base.device.name, curves)

    def _network(self, name: str) -> Network:
        """The network of this thread."""
        mine: dict[str, Network] = self._own.__dict__
        if name not in mine:
            mine[name] = self._networks[name]()
        return mine[name]

    def _lines(self, plan: Plan) -> list[Line]:
        return [line for line in plan.lines if line.network in self._networks]

    def _jobs(self, plan: Plan, base: Conditions) -> Iterator[_Job]:
        """What is to be evaluated; conditions that draw nothing take one seed."""
        for curve, line in enumerate(self._lines(plan)):
            for point, value in enumerate(plan.values):
                conditions = line.change(plan.conditions(base, value))
                for seed in self._seeds if draws(conditions) else self._seeds[:1]:
                    yield _Job(curve, point, seed, conditions)


def _base(sweep: Sweep, device: Device | None) -> Conditions:
    return Conditions(device=device or load_device(DEFAULT_PRESETS.get(sweep, "ideal")))
