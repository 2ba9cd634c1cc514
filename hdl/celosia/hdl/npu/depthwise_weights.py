"""The depthwise engine's weights: one set in use, the next one being loaded."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import DEPTHWISE_WORDS, NpuConfig
from celosia.hdl.npu.interfaces import DepthwiseEngineSignature, vector
from celosia.hdl.npu.pipeline import delayed

__all__ = ["DepthwiseWeights"]


class DepthwiseWeights(wiring.Component):
    """Two sets of up to 32 words of T weight vectors each.

    The vectors of a set arrive tap by tap, word by word, into the set that isn't in use; ``take``
    takes it into use, once ``complete``.

    Throughput: a vector written and a word read every cycle. Latency: ``o`` is the word that was
    read at the enabled edge before. Back-pressure: ``weights.ready`` is low while a complete set
    waits; it depends on registers only. Reset forgets both sets.

    Parameters
    ----------
    config : NpuConfig
        Sizes.

    Members
    -------
    weights : In
        As in `DepthwiseEngineSignature`.
    complete : Out(1)
        The next set is there.
    take : In(1)
        This word and those after it are of the next set.
    word : In
        Word to read.
    enable : In(1)
        Read the word of the cycle before at this clock edge.
    o : Out(T x vector(lanes))
        What was read.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        engine = DepthwiseEngineSignature(config.rows, config.columns)
        super().__init__(
            {
                "weights": engine.members["weights"],
                "complete": Out(1),
                "take": In(1),
                "enable": In(1),
                "word": In(range(DEPTHWISE_WORDS)),
                "o": Out(data.ArrayLayout(vector(config.depthwise_lanes), config.depthwise_taps)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        taps, shape = self._config.depthwise_taps, vector(self._config.depthwise_lanes)
        filled = Signal()  # the set that is being loaded, or waits
        tap = Signal(range(taps))
        word = Signal.like(self.word)
        write = Signal()
        m.d.comb += [
            self.weights.ready.eq(~self.complete),
            write.eq(self.weights.valid & self.weights.ready),
        ]
        with m.If(write):
            m.d.sync += tap.eq(tap + 1)
            with m.If(tap == taps - 1):
                m.d.sync += [tap.eq(0), word.eq(word + 1)]
            with m.If(self.weights.payload.last):
                m.d.sync += [tap.eq(0), word.eq(0), self.complete.eq(1)]
        with m.If(self.take):
            m.d.sync += [filled.eq(~filled), self.complete.eq(0)]
        read_word = delayed(m, Cat(self.word, ~(filled ^ self.take)), 1, "read_word")

        for number in range(taps):
            m.submodules[f"bank_{number}"] = bank = memory.Memory(
                shape=unsigned(shape.size),
                depth=2 * DEPTHWISE_WORDS,
                init=[],
                attrs={"no_rw_check": 1},  # a set isn't written while it is read
            )
            write_port, read_port = bank.write_port(), bank.read_port()
            m.d.comb += [
                # What stands here before a vector comes is overwritten by it; whether it comes is
                # known late.
                write_port.en.eq(~self.complete & (tap == number)),
                write_port.addr.eq(Cat(word, filled)),
                write_port.data.eq(self.weights.payload.vector.as_value()[: shape.size]),
                read_port.en.eq(self.enable),
                read_port.addr.eq(read_word),
                self.o[number].eq(read_port.data),
            ]
        return m
