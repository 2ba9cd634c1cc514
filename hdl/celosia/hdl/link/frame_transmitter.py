"""From replies to bytes on the line."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.link.frames import CRC_BYTES, DELIMITER
from celosia.hdl.link.crc import CRC_INIT, next_crc

__all__ = ["FrameTransmitter"]

BYTE = 8


class FrameTransmitter(wiring.Component):
    """Adds the CRC to a frame, stuffs it and sends it.

    Takes a byte every ten cycles up to ``last``, since its CRC takes a bit a cycle, then none
    until all is sent: the first byte is offered 53 cycles after ``last`` was taken, each further
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
        place, code, sent = Signal(8, init=1), Signal(8), Signal(8)
        byte = Signal(8, reset_less=True)
        # A byte is appended behind the eight cycles in which its bits go around, and into the sum,
        # or come from there.
        value, bits_left = Signal(BYTE, reset_less=True), Signal(range(BYTE + 1))
        append, close = Signal(), Signal()
        crc = Signal(32, init=CRC_INIT)
        check, checking = Signal(range(CRC_BYTES)), Signal()
        still = (bits_left == 0) & ~append
        takes, checks, loads, ends = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            read.addr.eq(sent),
            read.en.eq(1),
            write.en.eq(append | close),
        ]
        with m.If((value == 0) | close):
            m.d.comb += [write.addr.eq(code), write.data.eq(place - code)]
        with m.Else():
            m.d.comb += [write.addr.eq(place), write.data.eq(value)]
        m.d.sync += append.eq(bits_left == 1)
        with m.If(takes | checks):
            m.d.sync += bits_left.eq(BYTE)
        with m.Elif(bits_left != 0):
            m.d.sync += bits_left.eq(bits_left - 1)
        with m.If(takes | (bits_left != 0)):
            bit = Mux(checking, ~crc[0], value[0])
            m.d.sync += value.eq(Mux(takes, self.i.payload.byte, Cat(value[1:], bit)))
        with m.If(ends):
            m.d.sync += crc.eq(CRC_INIT)
        with m.Elif(bits_left != 0):
            # The sum's own bits, which are sent, leave it as they are.
            m.d.sync += crc.eq(next_crc(crc, Mux(checking, crc[0], value[0])))
        with m.If(ends):
            m.d.sync += place.eq(1)
        with m.Elif(append):
            m.d.sync += place.eq(place + 1)
        with m.If(ends):
            m.d.sync += code.eq(0)
        with m.Elif(append & (value == 0)):
            m.d.sync += code.eq(place)
        with m.If(ends):
            m.d.sync += sent.eq(0)
        with m.Elif(loads):
            m.d.sync += sent.eq(sent + 1)
        with m.If(loads):
            m.d.sync += byte.eq(read.data)
        with m.If(checks):
            m.d.sync += check.eq(check + 1)
        with m.If(checks | ends):
            m.d.sync += checking.eq(checks)

        with m.FSM(name="frame"):
            with m.State("TAKE"):
                m.d.comb += [self.i.ready.eq(still), takes.eq(self.i.valid & still)]
                with m.If(takes & self.i.payload.last):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += checks.eq(still)
                with m.If(still & (check == CRC_BYTES - 1)):
                    m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += close.eq(still)
                with m.If(still):
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += loads.eq(1)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(byte)]
                with m.If(self.o.ready):
                    m.next = "LOAD"
                    with m.If(sent == place):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.eq(DELIMITER),
                    ends.eq(self.o.ready),
                ]
                with m.If(self.o.ready):
                    m.next = "TAKE"
        return m
