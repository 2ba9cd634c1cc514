"""From replies to bytes on the line."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.link.frames import CRC_BYTES, DELIMITER
from celosia.hdl.link.crc import CRC_INIT, next_crc

__all__ = ["FrameTransmitter"]

BYTE = 8


class FrameTransmitter(wiring.Component):
    """Adds the CRC to a frame, stuffs it and sends it.

    Takes a byte every nine cycles up to ``last``, since its CRC takes a bit a cycle, then none
    until all is sent: the first byte is offered 48 cycles after ``last`` was taken, each further
    one two cycles after the one before it was taken, the delimiter one cycle after.
    ``i.ready``, ``o.valid`` and ``o.payload`` depend on no input combinationally.

    Members
    -------
    i : In(stream.Signature({"byte", "last"}))
        A frame's bytes without its CRC, at most 250.
    o : Out(stream.Signature(8))
        Bytes on the line.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"byte": 8, "last": 1}))),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.buffer = buffer = memory.Memory(
            shape=8, depth=256, init=[], attrs={"no_rw_check": 1}
        )
        write, read = buffer.write_port(), buffer.read_port(transparent_for=())
        # The buffer holds what goes on the line. Where a zero would stand, and at place 0, stands
        # the distance to the next zero, which is written once that one's place is known.
        place, code = Signal(8, init=1), Signal(8)
        # A byte is appended in the first of eight cycles in which its bits are summed.
        value, bits_left = Signal(BYTE), Signal(range(BYTE + 1))
        append, close = Signal(), Signal()
        crc = Signal(32, init=CRC_INIT)
        check, checking = Signal(range(CRC_BYTES)), Signal()
        sent, byte = Signal(8), Signal(8, reset_less=True)
        m.d.comb += [
            append.eq(bits_left == BYTE),
            read.addr.eq(sent),
            read.en.eq(1),
            write.en.eq(append | close),
        ]
        with m.If((value == 0) | close):
            m.d.comb += [write.addr.eq(code), write.data.eq(place - code)]
        with m.Else():
            m.d.comb += [write.addr.eq(place), write.data.eq(value)]
        with m.If(append):
            m.d.sync += place.eq(place + 1)
            with m.If(value == 0):
                m.d.sync += code.eq(place)
        with m.If(bits_left != 0):
            m.d.sync += [
                # The sum's own bits, which are sent, leave it as they are.
                crc.eq(next_crc(crc, Mux(checking, crc[0], value[0]))),
                value.eq(value >> 1),
                bits_left.eq(bits_left - 1),
            ]

        with m.FSM(name="frame"):
            with m.State("TAKE"):
                m.d.comb += self.i.ready.eq(bits_left == 0)
                with m.If(self.i.valid & self.i.ready):
                    m.d.sync += [value.eq(self.i.payload.byte), bits_left.eq(BYTE)]
                    with m.If(self.i.payload.last):
                        m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(bits_left == 0):
                    m.d.sync += [
                        checking.eq(1),
                        value.eq(~crc[:BYTE]),
                        bits_left.eq(BYTE),
                        check.eq(check + 1),
                    ]
                    with m.If(check == CRC_BYTES - 1):
                        m.next = "CLOSE"
            with m.State("CLOSE"):
                with m.If(bits_left == 0):
                    m.d.comb += close.eq(1)
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.next = "LOAD"
            with m.State("LOAD"):
                m.d.sync += [byte.eq(read.data), sent.eq(sent + 1)]
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(byte)]
                with m.If(self.o.ready):
                    m.next = "LOAD"
                    with m.If(sent == place):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(DELIMITER)]
                with m.If(self.o.ready):
                    m.d.sync += [place.eq(1), code.eq(0), sent.eq(0), crc.eq(CRC_INIT)]
                    m.d.sync += checking.eq(0)
                    m.next = "TAKE"
        return m
