"""The build cache: one build per content, whole or not at all."""

import multiprocessing
import time
from pathlib import Path

import pytest

from celosia.golden.errors import CelosiaError
from celosia.sim.cache import cache_root, cached, content_key
from celosia.sim.verilator_build import build_simulation

WIRE = "module wired(input a, output b); assign b = a; endmodule\n"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    library = cache_root() / "verilator-library"
    library.mkdir(parents=True, exist_ok=True)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / library.name).symlink_to(library)  # or each test would build it anew
    monkeypatch.setenv("CELOSIA_CACHE", str(cache))
    return cache


def test_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("CELOSIA_CACHE", str(tmp_path / "a"))
    assert cache_root() == tmp_path / "a"
    monkeypatch.delenv("CELOSIA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert cache_root() == tmp_path / "b" / "celosia"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path.home() / ".cache" / "celosia"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_root() == Path.home() / "Library" / "Caches" / "celosia"


def test_root_with_spaces(monkeypatch, tmp_path):
    monkeypatch.setenv("CELOSIA_CACHE", str(tmp_path / "my cache"))
    with pytest.raises(CelosiaError, match=r"^The build cache's path must not contain spaces, not"):
        cache_root()


def test_root_that_is_not_writable(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CELOSIA_CACHE", str(tmp_path / "file"))
    with pytest.raises(CelosiaError, match=r"^The build cache .* must be writable: Not a dir"):
        cached("kind", "key", lambda folder: None)


def test_key_ignores_order_and_nothing_else():
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1})
    assert content_key({"a": 1, "b": [2]}) != content_key({"a": 1, "b": [3]})


def test_builds_once(cache):
    calls = []

    def build(folder: Path) -> None:
        calls.append(folder)
        (folder / "result").write_text("whole")

    first, built = cached("kind", "key", build)
    again, rebuilt = cached("kind", "key", build)
    assert (built, rebuilt, len(calls)) == (True, False, 1)
    assert first == again == cache / "kind" / "key"
    assert (first / "result").read_text() == "whole"


def test_failed_build_leaves_nothing(cache):
    def build(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cached("kind", "key", build)
    assert [path.name for path in (cache / "kind").iterdir()] == ["key.lock"]
    assert cached("kind", "key", lambda folder: None)[1]


def test_killed_build_is_cleared(cache):
    (cache / "kind" / "key.partial").mkdir(parents=True)
    (cache / "kind" / "key.partial" / "half").touch()
    folder, built = cached("kind", "key", lambda folder: None)
    assert built
    assert list(folder.iterdir()) == []


def _slow_build(folder: Path) -> None:
    time.sleep(0.5)
    (folder / "result").touch()


def _want(_: int) -> bool:
    folder, built = cached("kind", "key", _slow_build)
    assert (folder / "result").exists()
    return built


def test_many_processes_build_once(cache):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert sorted(pool.map(_want, range(4), chunksize=1)) == [False, False, False, True]


def test_simulation_is_built_once(cache):
    first = build_simulation({"wired.v": WIRE}, "wired")
    before = first.executable.stat().st_mtime_ns
    start = time.perf_counter()
    again = build_simulation({"wired.v": WIRE}, "wired")
    assert time.perf_counter() - start < 0.1
    assert (first.built, again.built) == (True, False)
    assert again.executable.stat().st_mtime_ns == before
    assert sorted(path.name for path in first.executable.parent.iterdir()) == [
        "build.log",
        "simulator",
        "visible.vlt",
        "wired.v",
    ]

    changed = build_simulation({"wired.v": WIRE.replace("= a", "= ~a")}, "wired")
    assert changed.built
    assert changed.executable != first.executable


def test_only_ports_are_public(cache):
    folder = build_simulation({"wired.v": WIRE}, "wired").executable.parent
    visible = '`verilator_config\npublic_flat_rw -module "wired" -port "*"\n'
    assert (folder / "visible.vlt").read_text() == visible


def test_top_named_like_a_cpp_header(cache):
    verilog = WIRE.replace("wired", "array")
    assert build_simulation({"array.v": verilog}, "array").executable.is_file()


def test_verilog_that_does_not_build(cache):
    broken = WIRE.replace("= a", "= nowhere(a)")
    with pytest.raises(CelosiaError, match=r"^Verilator can't build 'wired' \(log: ") as caught:
        build_simulation({"wired.v": broken}, "wired")
    assert "nowhere" in str(caught.value)
    (log,) = (cache / "verilator").glob("*.log")
    assert str(log) in str(caught.value)
    assert "nowhere" in log.read_text()
