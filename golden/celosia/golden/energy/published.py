"""Measured time and energy of one inference of the MLPerf Tiny networks on processors."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """Milliseconds and microjoules of one inference."""

    ms: float
    uj: float


@dataclass(frozen=True)
class Processor:
    """A chip with published results, single stream, of MLCommons' MLPerf Tiny."""

    name: str
    mhz: int
    source: str
    results: Mapping[str, Measurement]


BENCHMARKS: Mapping[int, str] = {
    12_501_632: "image classification",
    2_656_768: "keyword spotting",
    7_489_664: "visual wake words",
    264_192: "anomaly detection",
}
"""MLPerf Tiny's networks by the multiply-accumulates of one inference, which tell them apart."""


def _results(*pairs: tuple[float, float]) -> dict[str, Measurement]:
    return {
        name: Measurement(ms, uj) for name, (ms, uj) in zip(BENCHMARKS.values(), pairs, strict=True)
    }


PROCESSORS = (
    Processor(
        "Cortex-M4, TFLite Micro",
        120,
        "Nucleo-L4R5ZI, MLPerf Tiny v0.5 reference",
        _results((704, 29207), (181.9, 7374), (600.6, 24313), (10.05, 416)),
    ),
    Processor(
        "Cortex-M7, X-CUBE-AI",
        280,
        "STM32H7A3, MLPerf Tiny v1.2",
        _results((40.8, 5090), (11.3, 1376), (23.8, 2965), (1.23, 166)),
    ),
    Processor(
        "GAP9, NE16 accelerator",
        370,
        "GAP9 at 0.8 V, MLPerf Tiny v1.0",
        _results((0.616, 40.4), (0.475, 26.7), (1.125, 58.4), (0.176, 7.3)),
    ),
)
"""Chips with published results: two microcontrollers, and the best of the accelerators."""


def scaled(processor: Processor, macs: int) -> Measurement:
    """What a network of `macs` multiply-accumulates takes, at what one of ResNet8's takes.

    A rough measure for networks that nobody has published; depthwise ones take two to three times
    as much.
    """
    known, benchmark = next(iter(BENCHMARKS.items()))
    result = processor.results[benchmark]
    return Measurement(result.ms * macs / known, result.uj * macs / known)
