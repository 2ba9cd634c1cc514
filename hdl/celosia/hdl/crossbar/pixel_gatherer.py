"""From the vectors of an output pixel to the inputs of a tile."""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Out

from celosia.golden.config import NpuConfig
from celosia.golden.crossbar.config import UNDRIVEN
from celosia.hdl.crossbar.mvm_unit import product_request
from celosia.hdl.npu.interfaces import CrossbarEngineSignature, vector

__all__ = ["PixelGatherer"]


class PixelGatherer(wiring.Component):
    """Puts the vectors of a pixel one behind the other; rows beyond them are not driven.

    A vector is taken every cycle while no request waits for its turn; a pixel's request is offered
    in the cycle after its last vector.

    Members:
        vectors: see `CrossbarEngineSignature`.
        requests: Out(stream): `product_request`, unsigned.
    """

    def __init__(self, config: NpuConfig) -> None:
        assert config.crossbar is not None
        self._rows = config.rows
        self._tiles = config.crossbar
        engine = CrossbarEngineSignature(config.rows, config.columns)
        super().__init__(
            {
                "vectors": engine.members["vectors"],
                "requests": Out(stream.Signature(product_request(config.crossbar))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, request = self._rows, self.requests
        slots = self._tiles.rows // rows
        idle = Const(int(f"{UNDRIVEN & 0xFF:02x}" * rows, 16), 8 * rows)
        gathered = [Signal(vector(rows), name=f"gathered_{slot}") for slot in range(slots)]
        place = Signal(range(slots))
        taken = self.vectors.payload
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
