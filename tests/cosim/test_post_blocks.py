"""POST's smaller blocks, and the array's cell, in Verilator."""

import pytest
from amaranth.hdl import EnableInserter, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from support.mac_cell import MacCell

from celosia.golden.config import config_from_mapping
from celosia.hdl.family import Family
from celosia.hdl.npu.constant_loader import ConstantLoader
from celosia.hdl.npu.float_requantizer import Normalizer, ProductRounder
from celosia.hdl.npu.lane_collector import LaneCollector
from celosia.hdl.npu.lane_feed import LaneFeed
from celosia.hdl.npu.operand_tables import OperandTables
from celosia.hdl.npu.output_addresses import OutputAddresses
from celosia.hdl.npu.parameter_registers import ParameterRegisters
from celosia.hdl.npu.pipelined_multiplier import PipelinedMultiplier
from celosia.hdl.npu.post_readers import OperandReader, SumReader
from celosia.hdl.npu.tap_reducer import TapReducer
from celosia.sim.block_bench import run_block_bench
from celosia.sim.gate_level import with_cells

SEED = 1
MULTIPLIER_BITS = 53  # as in the benches
MOST_VECTORS = 8
ODD = {"base": "npu4x4", "rows": 10, "columns": 6, "requantizer_lanes": 5}
"""Fewer columns than rows: two slices to a vector."""
WIDE = {"base": "npu4x4", "rows": 4, "columns": 14, "requantizer_lanes": 4, "profiles": ["litert"]}
"""Three vectors to a tile, and three entries to a table's vector, which 256 is no multiple of."""

SERIAL = {"base": "npu4x4", "requantizer_lanes": 2, "requantizer_bits": 8}
"""A beat in five cycles."""


def config_of(table):
    return config_from_mapping(table, default_name="bench")


def run(name, factory, parameters, **options):
    module = f"celosia.sim.benches.{name}_bench"
    run_block_bench(factory, module, name=name, parameters=parameters, seed=SEED, **options)


def test_tap_reducer():
    run("tap_reducer", TapReducer, {"lanes": 5})


def test_operand_tables():
    run("operand_tables", OperandTables, {"lanes": 3})


class AddressRuns(wiring.Component):
    """The blocks that make runs of addresses, side by side."""

    def __init__(self):
        self._blocks = {
            "output_addresses": OutputAddresses(vectors=MOST_VECTORS),
            "sum_reader": SumReader(),
            "operand_reader": OperandReader(),
        }
        super().__init__({name: Out(block.signature) for name, block in self._blocks.items()})

    def elaborate(self, platform):
        m = Module()
        for name, block in self._blocks.items():
            m.submodules[name] = block
            wiring.connect(m, wiring.flipped(getattr(self, name)), block)
        return m


def test_address_runs():
    run("address_runs", AddressRuns, {})


@pytest.mark.parametrize("table", [ODD, WIDE])
def test_constant_loader(table):
    run("constant_loader", lambda **table: ConstantLoader(config_of(table)), table)


def test_lane_collector():
    run("lane_collector", lambda **table: LaneCollector(config_of(table)), ODD)


@pytest.mark.parametrize("table", [ODD, WIDE, SERIAL])
def test_lane_feed(table):
    def make(**table):
        return LaneFeed(config_of(table), multiplier_bits=MULTIPLIER_BITS)

    run("lane_feed", make, table)


class Arithmetic(wiring.Component):
    """What has no flow control of its own, side by side behind one `enable`."""

    def __init__(self, family=None):
        self._blocks = {
            "multiplier_small": PipelinedMultiplier(a_bits=32, b_bits=31, family=family),
            "multiplier_large": PipelinedMultiplier(a_bits=33, b_bits=53, family=family),
            "normalizer": Normalizer(rounds=True),
            "rounder_float32": ProductRounder(
                product_bits=48, significant_bits=24, ties_to_even=True
            ),
            "rounder_float64": ProductRounder(
                product_bits=85, significant_bits=53, ties_to_even=False
            ),
        }
        ports = {name: Out(block.signature) for name, block in self._blocks.items()}
        super().__init__({"enable": In(1), **ports})

    def elaborate(self, platform):
        m = Module()
        for name, block in self._blocks.items():
            m.submodules[name] = EnableInserter(self.enable)(block)
            wiring.connect(m, wiring.flipped(getattr(self, name)), block)
        return m


def test_arithmetic():
    run("arithmetic", Arithmetic, {})


def test_arithmetic_in_multiplier_blocks():
    ecp5 = Family.ECP5
    run("arithmetic", lambda: Arithmetic(ecp5), {}, netlist=with_cells(ecp5))


def test_processing_element():
    run("processing_element", MacCell, {"sum_bits": 19})


def test_parameter_registers():
    run(
        "parameter_registers",
        lambda **table: ParameterRegisters(config_of(table), multiplier_bits=MULTIPLIER_BITS),
        WIDE,
    )
