"""For every area: where the public models are, and what a skipped test means."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

#: Set by `.ci/run`, where everything optional is installed: there a skip is a failure.
REQUIRE_ALL = os.environ.get("CELOSIA_REQUIRE_ALL") == "1"


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Folder of the four MLPerf Tiny models, as `celosia models fetch` writes them."""
    folder = os.environ.get("CELOSIA_MODELS")
    if not folder:
        pytest.skip("CELOSIA_MODELS doesn't name the folder of the MLPerf Tiny models")
    if not Path(folder).is_dir():
        pytest.fail(f"CELOSIA_MODELS must name a folder, not {folder!r}")
    return Path(folder)


@pytest.fixture(scope="session")
def samples_dir(models_dir: Path) -> Path:
    """Folder of the models' labelled samples (`ic_labelled.npz`, `kws_labelled.npz`: x and y)."""
    folder = models_dir / "samples"
    if not folder.is_dir():
        pytest.skip("the folder that CELOSIA_MODELS names holds no labelled samples")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _refuse_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _refuse_skip(report)


def _refuse_skip(report: Any) -> Any:
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        *_, reason = report.longrepr  # file, line, reason
        report.outcome = "failed"
        report.longrepr = f"{reason}: nothing may be skipped where CELOSIA_REQUIRE_ALL=1"
    return report
