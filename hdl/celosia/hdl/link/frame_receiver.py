"""From bytes on the line to whole frames."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.link.frames import CRC_BYTES, DELIMITER, HEADER_BYTES, MAX_FRAME
from celosia.hdl.link.crc import CRC_INIT, CRC_RESIDUE, next_crc

__all__ = ["FrameReceiver"]

BYTE = 8
FRAME_ROOM = 256


class FrameReceiver(wiring.Component):
    """Unstuffs frames, checks their CRC, and holds one until it has been looked at.

    A frame (`celosia.golden.link.frames`) that isn't whole leaves no trace. A byte every ten
    cycles, since its CRC takes a bit a cycle; ``frame`` is offered three cycles after its delimiter
    was taken. From then to the cycle after ``frame`` is taken bytes wait, one of them in here.
    ``i.ready`` depends on no input combinationally.

    Parameters
    ----------
    constants : bytes
        What can be read behind the frames, whose memory has room: at most 256 bytes.

    Members
    -------
    i : In(stream.Signature(8))
        Bytes on the line.
    frame : Out(stream.Signature(8))
        Bytes of the frame at hand, its CRC left out.
    address : In(9)
        Which of them to read; from 256 on, a constant.
    byte : Out(8)
        The one that ``address`` named in the cycle before, while ``frame`` is offered; straight out
        of block RAM, so that a register belongs next to it.
    """

    i: stream.Interface
    frame: stream.Interface
    address: Signal
    byte: Signal

    def __init__(self, constants: bytes = b"") -> None:
        self._constants = constants
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "frame": Out(stream.Signature(8)),
                "address": In(9),
                "byte": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.buffer = buffer = memory.Memory(
            shape=8,
            depth=2 * FRAME_ROOM,
            init=bytes(FRAME_ROOM) + self._constants,
            attrs={"no_rw_check": 1},  # reads wait for a whole frame
        )
        write, read = buffer.write_port(), buffer.read_port()
        m.d.comb += [read.addr.eq(self.address), self.byte.eq(read.data), read.en.eq(1)]

        # A byte has a cycle in which it is looked at, and its value written; if it is one of the
        # frame's, its bits are summed in the eight cycles after that.
        held, value = Signal(), Signal(BYTE, reset_less=True)
        bits_left = Signal(range(BYTE + 1))
        looks, append = Signal(), Signal()
        distance = Signal(8)  # bytes up to the next zero that was stuffed
        at_zero = distance == 0
        length = Signal(range(MAX_FRAME + 2))
        opened, broken = Signal(), Signal()
        crc = Signal(32, init=CRC_INIT)
        ended, matches = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(~held),
            looks.eq(held & (bits_left == 0) & ~self.frame.valid),
            write.addr.eq(length),
            write.data.eq(Mux(at_zero, 0, value)),
            write.en.eq(append),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [held.eq(1), value.eq(self.i.payload)]
        m.d.sync += [ended.eq(0), matches.eq(crc == CRC_RESIDUE)]
        with m.If(bits_left != 0):
            m.d.sync += [
                crc.eq(next_crc(crc, value[0])),
                value.eq(value >> 1),
                bits_left.eq(bits_left - 1),
                held.eq(bits_left != 1),
            ]

        with m.If(looks):
            m.d.sync += held.eq(0)
            with m.If(value == DELIMITER):
                fits = (length >= HEADER_BYTES + CRC_BYTES) & (length <= MAX_FRAME)
                m.d.sync += [
                    ended.eq(opened & at_zero & ~broken & fits),
                    self.frame.payload.eq(length - CRC_BYTES),
                    distance.eq(0),
                    length.eq(0),
                    opened.eq(0),
                    broken.eq(0),
                    crc.eq(CRC_INIT),
                ]
            with m.Elif(length > MAX_FRAME):
                m.d.sync += broken.eq(1)
            with m.Else():
                # The place of a zero, except that the first one only says where the next is.
                m.d.comb += append.eq(~at_zero | opened)
                m.d.sync += [distance.eq(Mux(at_zero, value, distance) - 1), opened.eq(1)]
            with m.If(append):
                m.d.sync += [length.eq(length + 1), held.eq(1), bits_left.eq(BYTE)]
                with m.If(at_zero):
                    m.d.sync += value.eq(0)
        with m.If(ended & matches):
            m.d.sync += self.frame.valid.eq(1)
        with m.If(self.frame.valid & self.frame.ready):
            m.d.sync += self.frame.valid.eq(0)
        return m
