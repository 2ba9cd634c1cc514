"""Levels on their way to the programmer: written by place, taken in order."""

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LevelQueue"]


class LevelQueue(wiring.Component):
    """Levels are written behind those that wait, at any place and as often as one likes; then they
    are told to wait as well.

    Throughput: a level every second cycle. Reset forgets all levels.

    Members
    -------
    write, place, level : In
        Strobe: the level at a place behind those that wait.
    commit, count : In
        Strobe: the first so many of those that were written wait from now on.
    full : Out(1)
        There is no room for ``count`` more: with ``commit``, nothing happens.
    levels : Out(stream.Signature(bits))
        Those that wait, in order.
    """

    def __init__(self, *, bits: int, depth: int) -> None:
        self._bits, self._depth = bits, depth
        super().__init__(
            {
                "write": In(1),
                "place": In(range(depth)),
                "level": In(bits),
                "commit": In(1),
                "count": In(16),
                "full": Out(1),
                "levels": Out(stream.Signature(bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = kept = memory.Memory(shape=self._bits, depth=self._depth, init=[])
        write, read = kept.write_port(), kept.read_port()
        first, last = Signal(range(self._depth)), Signal(range(self._depth))
        waiting = Signal(range(self._depth + 1))
        taken, fetched = Signal(), Signal()
        added = Signal(range(self._depth + 1))
        m.d.comb += [
            write.addr.eq(last + self.place),
            write.data.eq(self.level),
            write.en.eq(self.write),
            read.addr.eq(first),
            read.en.eq(1),
            self.full.eq(waiting + self.count > self._depth),
            taken.eq(self.levels.valid & self.levels.ready),
            self.levels.valid.eq(fetched),
            self.levels.payload.eq(read.data),
        ]
        with m.If(self.commit & ~self.full):
            m.d.comb += added.eq(self.count)
        m.d.sync += [
            waiting.eq(waiting + added - taken),
            first.eq(first + taken),
            last.eq(last + added),
            # The memory answers for the place of the cycle before.
            fetched.eq((waiting != 0) & ~taken),
        ]
        return m
