"""Energy: events of a program against a run of it, and costs against the published table."""

from dataclasses import replace

import numpy as np
import pytest

from celosia.compiler.assembler import disassemble
from celosia.compiler.compile import compile_model
from celosia.compiler.crossbar import chosen_layers
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.energy import Event, count_events, npu_costs, sram_pj_per_byte
from celosia.golden.energy.published import BENCHMARKS, PROCESSORS, scaled
from celosia.golden.machine.engine import ExactEngine
from celosia.golden.machine.machine import Machine
from celosia.runtime.models import embedded_data


class CountingEngine(ExactEngine):
    """Counts the vectors that pass the array."""

    vectors = 0

    def multiply(self, vectors, tiles):
        self.vectors += vectors.shape[0] * vectors.shape[1]
        return super().multiply(vectors, tiles)


@pytest.fixture(scope="module")
def program():
    return compile_model(load_tflite(embedded_data("digits_int8.tflite")), PRESETS["npu8x8"])


def events_of(program):
    listing = disassemble(program.config, program.image, program.start)
    return count_events(program.config, [word for _, word in listing], len(program.layers))


def test_multiply_accumulates_are_those_of_a_run(program):
    engine = CountingEngine()
    machine = Machine(program.config, engine)
    machine.weights.reshape(-1)[: len(program.image)] = np.frombuffer(program.image, np.uint8)
    machine.run(program.start)
    counted = sum(events[Event.MAC] for events in events_of(program))
    assert counted == engine.vectors * program.config.macs


def test_weight_bytes_are_at_least_the_program_s(program):
    counted = sum(events[Event.WEIGHT_BYTE] for events in events_of(program))
    assert counted >= len(program.image) * 0.9


def test_every_layer_has_events(program):
    per_layer = events_of(program)
    assert len(per_layer) == len(program.layers)
    for layer, events in zip(program.layers, per_layer, strict=True):
        assert events[Event.SCRATCHPAD_BYTE] > 0, layer.name
        assert (events[Event.MAC] > 0) == (layer.engine == "systolic"), layer.name
        assert events[Event.CONVERSION] == 0


def test_a_crossbar_s_events_are_those_of_its_products():
    config = replace(PRESETS["npu8x8"], crossbar=CrossbarConfig(tiles=64))
    graph = load_tflite(embedded_data("digits_int8.tflite"))
    program = compile_model(graph, config, crossbar=chosen_layers(graph, "crossbar", []))
    counted = events_of(program)
    # A product converts each of 36 columns for each of 8 bits; the stem has two column tiles.
    assert config.crossbar.columns == 36
    assert counted[0][Event.CONVERSION] == 14 * 14 * 2 * 8 * 36
    assert sum(events[Event.MAC] for events in counted) == 0
    assert counted[0][Event.CELL_READ] == counted[0][Event.ROW_DRIVE] * 36


def test_memories_cost_what_was_published():
    # 64 bits: 10, 20 and 100 pJ of 8 KiB, 32 KiB and 1 MiB.
    assert [8 * sram_pj_per_byte(kib) for kib in (8, 32, 1024)] == pytest.approx([10, 20, 100])
    assert sram_pj_per_byte(1) == sram_pj_per_byte(8)
    assert sram_pj_per_byte(32) < sram_pj_per_byte(128) < sram_pj_per_byte(1024)
    assert sram_pj_per_byte(4096) == sram_pj_per_byte(1024)


def test_costs_say_what_is_published():
    costs = npu_costs(PRESETS["npu8x8"])
    assert costs[Event.MAC].published
    assert not costs[Event.WEIGHT_BYTE].published
    assert set(costs) == set(Event)


def test_processors_have_every_benchmark():
    for processor in PROCESSORS:
        assert list(processor.results) == list(BENCHMARKS.values())
    half = scaled(PROCESSORS[0], 12_501_632 // 2)
    assert (half.ms, half.uj) == pytest.approx((352, 14603.5))
