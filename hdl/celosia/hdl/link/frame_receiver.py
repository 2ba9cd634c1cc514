"""From bytes on the line to whole frames."""

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.link.frames import CRC_BYTES, DELIMITER, HEADER_BYTES, MAX_FRAME
from celosia.hdl.link.crc import CRC_INIT, CRC_RESIDUE, next_crc

__all__ = ["FrameReceiver"]


class FrameReceiver(wiring.Component):
    """Unstuffs frames, checks their CRC, and holds one until it has been looked at.

    A frame (`celosia.golden.link.frames`) that isn't whole leaves no trace. A byte every second
    cycle; ``frame`` is offered three cycles after its delimiter was taken. From then to the cycle
    after ``frame`` is taken bytes wait, one of them in here. ``i.ready`` depends on no input
    combinationally.

    Members
    -------
    i : In(stream.Signature(8))
        Bytes on the line.
    frame : Out(stream.Signature(8))
        Bytes of the frame at hand, its CRC left out.
    address : In(8)
        Which of them to read.
    byte : Out(8)
        The one that ``address`` named in the cycle before, while ``frame`` is offered; straight out
        of block RAM, so that a register belongs next to it.
    """

    i: stream.Interface
    frame: stream.Interface
    address: Signal
    byte: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "frame": Out(stream.Signature(8)),
                "address": In(8),
                "byte": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.buffer = buffer = memory.Memory(shape=8, depth=256, init=[])
        write, read = buffer.write_port(), buffer.read_port()
        m.d.comb += [read.addr.eq(self.address), self.byte.eq(read.data), read.en.eq(1)]

        # A byte has a cycle in which it is held, and one in which its value is written and summed;
        # the next byte is taken in that one, and finds length and CRC up to date when it is held.
        held, stuffed = Signal(), Signal(8, reset_less=True)
        append, value = Signal(), Signal(8)
        distance = Signal(8)  # bytes up to the next zero that was stuffed
        length = Signal(range(MAX_FRAME + 2))
        opened, broken = Signal(), Signal()
        crc = Signal(32, init=CRC_INIT)
        ended, matches = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(~held),
            write.addr.eq(length),
            write.data.eq(value),
            write.en.eq(append),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [held.eq(1), stuffed.eq(self.i.payload)]
        m.d.sync += [append.eq(0), ended.eq(0), matches.eq(crc == CRC_RESIDUE)]
        with m.If(append):
            m.d.sync += [length.eq(length + 1), crc.eq(next_crc(crc, value))]

        with m.If(held & ~self.frame.valid):
            m.d.sync += held.eq(0)
            with m.If(stuffed == DELIMITER):
                fits = (length >= HEADER_BYTES + CRC_BYTES) & (length <= MAX_FRAME)
                m.d.sync += [
                    ended.eq(opened & (distance == 0) & ~broken & fits),
                    self.frame.payload.eq(length - CRC_BYTES),
                    distance.eq(0),
                    length.eq(0),
                    opened.eq(0),
                    broken.eq(0),
                    crc.eq(CRC_INIT),
                ]
            with m.Elif(length > MAX_FRAME):
                m.d.sync += broken.eq(1)
            with m.Elif(distance == 0):
                # The place of a zero, except that the first one only says where the next is.
                m.d.sync += [distance.eq(stuffed - 1), opened.eq(1), value.eq(0), append.eq(opened)]
            with m.Else():
                m.d.sync += [distance.eq(distance - 1), value.eq(stuffed), append.eq(1)]
        with m.If(ended & matches):
            m.d.sync += self.frame.valid.eq(1)
        with m.If(self.frame.valid & self.frame.ready):
            m.d.sync += self.frame.valid.eq(0)
        return m
