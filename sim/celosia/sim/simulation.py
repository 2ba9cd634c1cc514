"""Run cocotb tests in a built simulation and know for certain how they ended."""

import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cocotb_tools.config

from celosia.golden.files import written_aside
from celosia.sim.processes import execute
from celosia.sim.toolchain import find_python_library

_TAIL_LINES = 40


class SimulationFailed(Exception):
    """A cocotb test failed, or the simulator crashed, hung or wrote no results.

    Attributes
    ----------
    log : Path
        Everything the simulator printed.
    """

    def __init__(self, reason: str, log: Path) -> None:
        super().__init__(f"{reason} (log: {log})\n{log_tail(log)}")
        self.log = log


@dataclass(frozen=True)
class TestResult:
    """One cocotb test: its name, simulated and wall time, and why it failed (None: it passed)."""

    __test__ = False  # not a test class of pytest's

    name: str
    simulated_ns: float
    wall_s: float
    failure: str | None


@dataclass(frozen=True)
class SimulationResult:
    """What a run gave: its tests, all passed; the log's text; seconds from start to end."""

    tests: tuple[TestResult, ...]
    log: str
    wall_s: float


@dataclass(frozen=True)
class Simulation:
    """A built simulation.

    Attributes
    ----------
    executable : Path
        The simulator; beside it lie the Verilog and the build's log.
    top : str
        The module that cocotb tests get as ``dut``.
    traces : bool
        Whether it can write waves.
    built : bool
        Whether it was built now, rather than found in the cache.
    """

    executable: Path
    top: str
    traces: bool
    built: bool

    def run(
        self,
        test_module: str,
        *,
        test_filter: str | None = None,
        env: Mapping[str, str] | None = None,
        plusargs: Sequence[str] = (),
        seed: int | None = None,
        waves: Path | None = None,
        timeout_s: float | None = None,
        stop: threading.Event | None = None,
    ) -> SimulationResult:
        """Run the cocotb tests of a Python module in the simulator.

        Parameters
        ----------
        test_module : str
            Import path of the module.
        test_filter : str, optional
            Regular expression that selects tests by name.
        env : mapping of str to str, optional
            Variables to add to the simulator's environment.
        plusargs : sequence of str
            Arguments for the simulator, for ``$test$plusargs``.
        seed : int, optional
            Seed of cocotb's random generator.
        waves : Path, optional
            FST file to write; the simulation must have been built with ``trace_fst``. It appears
            when the simulator ends, also where a test failed.
        timeout_s : float, optional
            Seconds of wall time after which the simulator is killed.
        stop : threading.Event, optional
            What kills it when another thread sets it; then there is no `timeout_s`.

        Raises
        ------
        CelosiaError
            If the waves can't be written there.
        SimulationFailed
            If any test fails or none runs, the simulator crashes or is killed, an assertion
            fires, or time runs out. Its log stays on disk.
        """
        if waves is not None and not self.traces:
            raise ValueError("waves need a simulation that was built with trace_fst=True")
        with _folder_of_run() as folder:
            log, results = folder / "simulation.log", folder / "results.xml"
            environment = {
                **os.environ,
                **_cocotb_environment(),
                "COCOTB_TOPLEVEL": self.top,
                "COCOTB_TEST_MODULES": test_module,
                "COCOTB_RESULTS_FILE": str(results),
                **({"COCOTB_TEST_FILTER": test_filter} if test_filter is not None else {}),
                **({"COCOTB_RANDOM_SEED": str(seed)} if seed is not None else {}),
                **(env or {}),
            }
            start = time.perf_counter()
            with contextlib.ExitStack() as open_files:
                command = [str(self.executable), *plusargs]
                if waves is not None:
                    file = open_files.enter_context(written_aside(waves))
                    command += ["--trace", "--trace-file", str(file)]
                status = execute(command, folder, environment, log, timeout_s, stop)
            wall_s = time.perf_counter() - start
            tests = _judge(status, results, log, test_module, timeout_s)
            return SimulationResult(tests, log.read_text(errors="replace"), wall_s)


def log_tail(log: Path) -> str:
    """The last lines of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def _cocotb_environment() -> dict[str, str]:
    return {
        "GPI_USERS": f"{find_python_library()};{cocotb_tools.config.pygpi_entry_point()}",
        "PYGPI_PYTHON_BIN": sys.executable,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TOPLEVEL_LANG": "verilog",
        "COCOTB_ANSI_OUTPUT": "0",
        "GPI_LOG_LEVEL": "WARNING",
        # Verilator applies inertial writes itself; without this cocotb imitates them, slowly.
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
    }


@contextlib.contextmanager
def _folder_of_run() -> Iterator[Path]:
    """A temporary folder that stays on disk only for the log of a simulation that failed."""
    folder = Path(tempfile.mkdtemp(prefix="celosia-run-"))
    failed = False
    try:
        yield folder
    except SimulationFailed:
        failed = True
        raise
    finally:
        if not failed:
            shutil.rmtree(folder)


def _judge(
    status: int | None, results: Path, log: Path, test_module: str, timeout_s: float | None
) -> tuple[TestResult, ...]:
    if status is None:
        raise SimulationFailed(f"{test_module} didn't end within {timeout_s} s", log)
    if not results.is_file():
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        raise SimulationFailed(f"the simulator ended {how} before {test_module} did", log)
    tests = tuple(_read_results(results))
    if not tests:
        raise SimulationFailed(f"{test_module} ran no test", log)
    failed = [test for test in tests if test.failure is not None]
    if failed:
        reasons = "".join(f"\n  {test.name}: {test.failure}" for test in failed)
        raise SimulationFailed(f"{len(failed)} of {len(tests)} tests failed{reasons}\n", log)
    if status:
        raise SimulationFailed(f"the simulator ended with status {status}", log)
    return tests


def _read_results(results: Path) -> list[TestResult]:
    """Tests in cocotb's results file, which follows the xUnit schema; skipped ones are left out."""
    tests = []
    for case in ElementTree.parse(results).getroot().iter("testcase"):
        if case.find("skipped") is not None:
            continue
        bad = case.find("failure")
        bad = case.find("error") if bad is None else bad
        failure = None if bad is None else (bad.get("message") or bad.text or "failed")
        tests.append(
            TestResult(
                name=f"{case.get('classname')}.{case.get('name')}",
                simulated_ns=_property(case, "sim_time_duration"),
                wall_s=float(case.get("time", 0)),
                failure=failure,
            )
        )
    return tests


def _property(case: ElementTree.Element, name: str) -> float:
    found = case.find(f"properties/property[@name='{name}']")
    return 0.0 if found is None else float(found.get("value", 0))
