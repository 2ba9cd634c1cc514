"""The lane feed of an NPU without vector operations: sums, and nothing else."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import NpuConfig
from celosia.hdl.npu.beat_cutter import BeatCutter, select
from celosia.hdl.npu.interfaces import vector
from celosia.hdl.npu.lane_feed import feed_tag
from celosia.hdl.npu.output_addresses import OutputAddress
from celosia.hdl.npu.parameter_registers import parameters_layout
from celosia.hdl.npu.requantizer_steps import RequantizerInput
from celosia.hdl.npu.tap_reducer import SUM_BITS

__all__ = ["SumFeed", "parameter_turn"]


def parameter_turn(config: NpuConfig) -> int:
    """Columns that the parameters move by with each beat; 0 where one is chosen instead.

    They are back in their places at a vector's end if it is made of all columns.
    """
    return 0 if config.rows % config.columns else config.requantizer_lanes


class SumFeed(wiring.Component):
    """From drained vectors to beats of L lanes, each with multiplier and exponent.

    It cuts drained vectors as `LaneFeed` does. The bias is added here, so that a beat's is zero.

    Throughput: a beat every cycle, R / L beats to a vector; with a requantiser that takes more
    cycles, a beat in as many, of which it waits the first in front of the stage. Latency:
    ``LATENCY``. Back-pressure: the stage stops while the output waits. Reset empties it.

    Parameters
    ----------
    config : NpuConfig
        Sizes.
    multiplier_bits : int
        Of the requantiser.

    Members
    -------
    drained, addresses, parameters, scale, uniform, slice, o
        As of `LaneFeed`. Where `parameter_turn` isn't 0 the next beat's parameters are those of the
        lowest columns.
    turns : Out(1)
        A beat enters.
    """

    LATENCY = 1

    drained: stream.Interface
    addresses: stream.Interface
    o: stream.Interface

    def __init__(self, config, *, multiplier_bits):
        self._config = config
        parameters = parameters_layout(multiplier_bits)
        tag = feed_tag(config)
        beat = RequantizerInput(
            lanes=config.requantizer_lanes, multiplier_bits=multiplier_bits, tag=tag
        )
        super().__init__(
            {
                "drained": In(stream.Signature(vector(config.columns, SUM_BITS))),
                "addresses": In(stream.Signature(OutputAddress)),
                "uniform": In(1),
                "parameters": In(data.ArrayLayout(parameters, config.columns)),
                "scale": In(parameters),
                "slice": In(tag["slice"].shape),
                "turns": Out(1),
                "o": Out(stream.Signature(beat)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.cutter = cutter = BeatCutter(config)
        address = self.addresses.payload
        valid = Signal()
        m.d.comb += [
            cutter.offered.eq(self.drained.valid & self.addresses.valid),
            cutter.advance.eq(~valid | self.o.ready),
            cutter.restarts.eq(address.pixel_end),
            self.turns.eq(cutter.take),
            self.addresses.ready.eq(cutter.take & cutter.vector_end),
            self.drained.ready.eq(self.addresses.ready & address.pixel_end),
        ]
        lanes = config.requantizer_lanes
        count = config.rows // lanes * config.tile_vectors
        sums = select(m, cutter.slot, self.drained.payload, lanes=lanes, count=count)
        if parameter_turn(config):
            parameters = [
                self.parameters[lane % config.columns].as_value() for lane in range(lanes)
            ]
        else:
            parameters = select(m, cutter.slot, self.parameters, lanes=lanes, count=count)
        beat = Signal.like(self.o.payload, reset_less=True)
        with m.If(cutter.advance):
            m.d.sync += [
                valid.eq(cutter.valid),
                beat.tag.address.eq(address.address),
                beat.tag.slice.eq(self.slice),
                beat.tag.vector_end.eq(cutter.vector_end),
                beat.tag.last.eq(address.last),
            ]
            for lane in range(lanes):
                own = data.View(self.scale.shape(), parameters[lane])
                m.d.sync += beat.lanes[lane].acc.eq(sums[lane] + own.bias)
                for name in ("multiplier", "exponent"):
                    m.d.sync += beat.lanes[lane][name].eq(
                        Mux(self.uniform, self.scale[name], own[name])
                    )
        m.d.comb += [self.o.valid.eq(valid), self.o.payload.eq(beat)]
        return m
