"""Puts the requantiser's beats together to scratchpad vectors."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.npu.interfaces import MemoryWriteSignature, vector
from celosia.hdl.npu.lane_feed import feed_tag
from celosia.hdl.npu.requantizer_steps import RequantizerOutput

__all__ = ["LaneCollector", "slice_mask"]


class LaneCollector(wiring.Component):
    """Collects R / L beats, lowest lanes first, and writes their vector.

    Throughput: a beat every cycle. Latency: 1 cycle from the last beat of a vector. Back-pressure:
    beats wait while a vector does. Reset forgets what was collected.

    Parameters
    ----------
    config : NpuConfig
        Sizes.

    Members
    -------
    i : In(stream.Signature(RequantizerOutput))
        Beats with the tag of `feed_tag`.
    write : Out(MemoryWriteSignature(R))
        Vectors; the mask has the lanes of the tag's slice.
    done : Out(1)
        A vector whose tag says `last` is accepted in this cycle.
    """

    i: stream.Interface
    write: stream.Interface

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "i": In(
                    stream.Signature(
                        RequantizerOutput(lanes=config.requantizer_lanes, tag=feed_tag(config))
                    )
                ),
                "write": Out(MemoryWriteSignature(config.rows)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        full = Signal()
        collected = Signal(vector(config.rows), reset_less=True)
        tag = Signal(feed_tag(config), reset_less=True)
        take = Signal()
        m.d.comb += [
            self.i.ready.eq(~full | self.write.ready),
            take.eq(self.i.valid & self.i.ready),
            self.write.valid.eq(full),
            self.write.payload.address.eq(tag.address),
            self.write.payload.vector.eq(collected),
            self.done.eq(full & self.write.ready & tag.last),
        ]
        with m.If(self.write.ready):
            m.d.sync += full.eq(0)
        with m.If(take):
            kept = collected.as_value()[8 * config.requantizer_lanes :]
            m.d.sync += [
                collected.eq(Cat(kept, self.i.payload.vector)),
                tag.eq(self.i.payload.tag),
                full.eq(self.i.payload.tag.vector_end),
            ]
        m.d.comb += self.write.payload.mask.eq(slice_mask(config, tag.slice))
        return m


def slice_mask(config, chosen):
    """The lanes of a vector that a slice writes, or all."""
    slices = config.tile_slices
    if slices == 1:
        return Const(-1, config.rows)
    return Cat(
        (chosen == lane // config.columns) | (chosen == slices) for lane in range(config.rows)
    )
