"""The crossbar as an engine of the NPU's: tiles on the emulator, behind controller and limiter."""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import NpuConfig
from celosia.golden.crossbar.emulation import IDEAL
from celosia.golden.timing.crossbar import ROWS_PER_CYCLE
from celosia.hdl.crossbar.emulator import Emulator, cell_access
from celosia.hdl.crossbar.limiter import Limiter
from celosia.hdl.crossbar.mvm_unit import MvmUnit
from celosia.hdl.crossbar.product_corrector import correction_write
from celosia.hdl.npu.interfaces import CrossbarEngineSignature, vector

__all__ = ["CrossbarEngine"]

UNDRIVEN = -128


class CrossbarEngine(wiring.Component):
    """Gathers the vectors of a pixel, multiplies them by a tile, and gives its sums.

    Sums are those of x + 128. Rows of the tile beyond the pixel's vectors are not driven. Vectors
    are taken while no product waits for its turn. Reset forgets pixels and products; cells and
    tables stay.

    Members:
        vectors, sums: see `CrossbarEngineSignature`.
        corrections: entries of the tables of all tiles; taken while nothing is being multiplied.
        cells: back door to the cells of the emulator.
        busy: a product is being made.
    """

    def __init__(self, config: NpuConfig) -> None:
        tiles = config.crossbar
        assert tiles is not None
        self._config = config
        self._tiles = tiles
        engine = CrossbarEngineSignature(config.rows, config.columns)
        super().__init__(
            {
                **engine.members,
                "corrections": In(stream.Signature(correction_write(tiles))),
                "cells": In(stream.Signature(cell_access(tiles))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, tiles = self._config.rows, self._tiles
        m.submodules.mvm = mvm = MvmUnit(tiles)
        m.submodules.limiter = limiter = Limiter(tiles)
        m.submodules.emulator = emulator = Emulator(tiles, IDEAL, rows_per_cycle=ROWS_PER_CYCLE)
        wiring.connect(m, mvm.reads, limiter.reads)
        wiring.connect(m, limiter.port, emulator.port)
        wiring.connect(m, wiring.flipped(self.corrections), mvm.corrections)
        wiring.connect(m, wiring.flipped(self.cells), emulator.memory)
        wiring.connect(m, mvm.sums, wiring.flipped(self.sums))
        m.d.comb += [
            limiter.interlock.eq(1),
            emulator.answer.ready.eq(1),
            self.busy.eq(mvm.busy),
        ]

        slots = tiles.rows // rows
        idle = Const(int(f"{UNDRIVEN & 0xFF:02x}" * rows, 16), 8 * rows)
        gathered = [Signal(vector(rows), name=f"gathered_{slot}") for slot in range(slots)]
        place = Signal(range(slots))
        taken = self.vectors.payload
        request = mvm.requests
        room = Signal()
        m.d.comb += [room.eq(~request.valid | request.ready), self.vectors.ready.eq(room)]
        with m.If(request.ready):
            m.d.sync += request.valid.eq(0)
        with m.If(self.vectors.valid & room):
            for slot in range(slots):
                with m.If(place == slot):
                    m.d.sync += gathered[slot].eq(taken.vector)
                with m.Elif(place == 0):
                    m.d.sync += gathered[slot].as_value().eq(idle)
            m.d.sync += place.eq(place + 1)
            with m.If(taken.pixel_end):
                m.d.sync += [place.eq(0), request.valid.eq(1)]
                m.d.sync += request.payload.tile.eq(taken.tile)
        m.d.comb += request.payload.unsigned.eq(1)
        for slot in range(slots):
            for lane in range(rows):
                m.d.comb += request.payload.inputs[slot * rows + lane].eq(gathered[slot][lane])
        return m
