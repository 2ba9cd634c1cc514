"""From replies to bytes on the line."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.link.frames import CRC_BYTES, DELIMITER
from celosia.hdl.link.crc import CRC_INIT, next_crc

__all__ = ["FrameTransmitter"]


class FrameTransmitter(wiring.Component):
    """Adds the CRC to a frame, stuffs it and sends it.

    Takes a byte a cycle up to ``last``, then none until all is sent, which takes two cycles a byte
    or as long as ``o`` lets it.

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
        m.submodules.buffer = buffer = memory.Memory(shape=8, depth=256, init=[])
        write, read = buffer.write_port(), buffer.read_port(transparent_for=())
        length, scan, sent = Signal(8), Signal(8), Signal(8)
        crc = Signal(32, init=CRC_INIT)
        check = Signal(range(CRC_BYTES + 1))
        address = Signal(8)
        m.d.comb += [write.addr.eq(length), read.addr.eq(address), read.en.eq(1)]

        with m.FSM(name="frame"):
            with m.State("TAKE"):
                m.d.comb += [
                    self.i.ready.eq(1),
                    write.en.eq(self.i.valid),
                    write.data.eq(self.i.payload.byte),
                ]
                with m.If(self.i.valid):
                    m.d.sync += [
                        length.eq(length + 1),
                        crc.eq(next_crc(crc, self.i.payload.byte)),
                    ]
                    with m.If(self.i.payload.last):
                        m.d.sync += check.eq(0)
                        m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += [write.en.eq(1), write.data.eq(~crc.word_select(check[:2], 8))]
                m.d.sync += [length.eq(length + 1), check.eq(check + 1)]
                with m.If(check == CRC_BYTES - 1):
                    m.d.sync += [scan.eq(0), sent.eq(0)]
                    m.next = "SCAN"
            # A block is what stands before the next zero: find it, send its length, send it.
            with m.State("SCAN"):
                m.d.comb += address.eq(scan)
                m.next = "LOOK"
            with m.State("LOOK"):
                with m.If((scan == length) | (read.data == 0)):
                    m.next = "CODE"
                with m.Else():
                    m.d.comb += address.eq(scan + 1)
                    m.d.sync += scan.eq(scan + 1)
            with m.State("CODE"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.eq(scan - sent + 1),
                    address.eq(sent),
                ]
                with m.If(self.o.ready):
                    m.next = "BYTES"
            with m.State("BYTES"):
                m.d.comb += [address.eq(sent), self.o.payload.eq(read.data)]
                with m.If(sent == scan):
                    m.d.sync += [scan.eq(scan + 1), sent.eq(sent + 1)]
                    m.next = "SCAN"
                    with m.If(scan == length):
                        m.next = "END"
                with m.Else():
                    m.d.comb += self.o.valid.eq(1)
                    with m.If(self.o.ready):
                        m.d.comb += address.eq(sent + 1)
                        m.d.sync += sent.eq(sent + 1)
            with m.State("END"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(DELIMITER)]
                with m.If(self.o.ready):
                    m.d.sync += [length.eq(0), crc.eq(CRC_INIT)]
                    m.next = "TAKE"
        return m
