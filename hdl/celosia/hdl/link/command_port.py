"""Carries out the host's frames on the host bus."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.link.commands import ADDRESS_BYTES, MAX_WORDS, WORD_BYTES, Reply, Request
from celosia.golden.link.frames import HEADER_BYTES
from celosia.golden.link.identity import IDENTITY_BYTES, Identity
from celosia.hdl.npu.interfaces import HostRequest

__all__ = ["CommandPort"]

NONCE_BYTES = 4


class CommandPort(wiring.Component):
    """Executes frames in turn and answers each (`celosia.golden.link.commands`).

    A frame is carried out if its sequence is the expected one, else answered with EXPECTED; CONNECT
    always is. A body of the wrong length is REFUSED before anything was written. The next frame is
    looked at once the answer has been handed over.

    Parameters
    ----------
    identity : Identity
        What CONNECT is answered with.

    Members
    -------
    frame, address, byte
        The frame at hand (`FrameReceiver`), which this port reads.
    reply : Out(stream.Signature({"byte", "last"}))
        Answers, to `FrameTransmitter`.
    request : Out(stream.Signature(HostRequest)), response : In(stream.Signature(32))
        The host bus.
    """

    frame: stream.Interface
    address: Signal
    byte: Signal
    reply: stream.Interface
    request: stream.Interface
    response: stream.Interface

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        super().__init__(
            {
                "frame": In(stream.Signature(8)),
                "address": Out(8),
                "byte": In(8),
                "reply": Out(stream.Signature(data.StructLayout({"byte": 8, "last": 1}))),
                "request": Out(stream.Signature(HostRequest)),
                "response": In(stream.Signature(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        length = self.frame.payload
        expected, sequence = Signal(8), Signal(8)
        # `byte` is the frame's byte number `position`; `step` goes on to the next one.
        position, step = Signal(8), Signal()
        m.d.comb += self.address.eq(position + step)
        m.d.sync += position.eq(position + step)

        word, count = Signal(32), Signal(2)
        address = Signal(32)
        left = Signal(range(MAX_WORDS + 1))
        writes, asked = Signal(), Signal()
        answer = Signal(8)
        has_body = Signal()
        place = Signal(range(NONCE_BYTES + IDENTITY_BYTES))

        reply = self.reply
        read_length = HEADER_BYTES + ADDRESS_BYTES + 1
        words_length = length - HEADER_BYTES - ADDRESS_BYTES
        good_write = (
            (length > HEADER_BYTES + ADDRESS_BYTES)
            & (words_length[:2] == 0)
            & (words_length <= MAX_WORDS * WORD_BYTES)
        )

        def answer_with(kind: Reply, body: bool = False) -> None:
            m.d.sync += [answer.eq(kind), has_body.eq(int(body))]
            m.next = "HEADER"

        with m.FSM(name="command"):
            with m.State("IDLE"):
                with m.If(self.frame.valid):
                    m.next = "SEQUENCE"
            with m.State("SEQUENCE"):
                m.d.comb += step.eq(1)
                m.d.sync += sequence.eq(self.byte)
                m.next = "COMMAND"
            with m.State("COMMAND"):
                m.d.comb += step.eq(1)
                m.d.sync += [count.eq(0), writes.eq(self.byte == Request.WRITE)]
                connects = (self.byte == Request.CONNECT) & (length == HEADER_BYTES + NONCE_BYTES)
                with m.If(connects):
                    m.d.sync += [expected.eq(sequence + 1), place.eq(0)]
                    answer_with(Reply.IDENTITY, body=True)
                with m.Elif(sequence != expected):
                    m.d.sync += sequence.eq(expected)
                    answer_with(Reply.EXPECTED)
                with m.Elif((self.byte == Request.READ) & (length == read_length)):
                    m.next = "ADDRESS"
                with m.Elif((self.byte == Request.WRITE) & good_write):
                    m.d.sync += left.eq(words_length >> 2)
                    m.next = "ADDRESS"
                with m.Else():
                    answer_with(Reply.REFUSED)
            with m.State("ADDRESS"):
                m.d.comb += step.eq(1)
                m.d.sync += [address.eq(Cat(address[8:], self.byte)), count.eq(count + 1)]
                with m.If(count == ADDRESS_BYTES - 1):
                    m.next = "COUNT"
                    with m.If(writes):
                        m.d.sync += expected.eq(expected + 1)
                        m.next = "GATHER"
            with m.State("COUNT"):
                m.d.sync += left.eq(self.byte)
                with m.If((self.byte == 0) | (self.byte > MAX_WORDS)):
                    answer_with(Reply.REFUSED)
                with m.Else():
                    m.d.sync += expected.eq(expected + 1)
                    answer_with(Reply.DATA, body=True)
            with m.State("GATHER"):
                m.d.comb += step.eq(1)
                m.d.sync += [word.eq(Cat(word[8:], self.byte)), count.eq(count + 1)]
                with m.If(count == WORD_BYTES - 1):
                    m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += [self.request.valid.eq(1), self.request.payload.write.eq(1)]
                with m.If(self.request.ready):
                    m.d.sync += [address.eq(address + WORD_BYTES), left.eq(left - 1)]
                    m.next = "GATHER"
                    with m.If(left == 1):
                        answer_with(Reply.DONE)
            with m.State("HEADER"):
                m.d.comb += [reply.valid.eq(1), reply.payload.byte.eq(sequence)]
                with m.If(reply.ready):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += [
                    reply.valid.eq(1),
                    reply.payload.byte.eq(answer),
                    reply.payload.last.eq(~has_body),
                ]
                with m.If(reply.ready):
                    m.next = "END"
                    with m.If(has_body):
                        m.next = "READ"
                        with m.If(answer == Reply.IDENTITY):
                            m.next = "IDENTITY"
            with m.State("IDENTITY"):
                own = Array(Const(byte, 8) for byte in self._identity.encode())
                m.d.comb += [
                    reply.valid.eq(1),
                    reply.payload.byte.eq(
                        Mux(place < NONCE_BYTES, self.byte, own[place - NONCE_BYTES])
                    ),
                    reply.payload.last.eq(place == NONCE_BYTES + IDENTITY_BYTES - 1),
                ]
                with m.If(reply.ready):
                    m.d.comb += step.eq(1)
                    m.d.sync += place.eq(place + 1)
                    with m.If(reply.payload.last):
                        m.next = "END"
            with m.State("READ"):
                # A bus may take a read as late as its answer is taken.
                m.d.comb += [
                    self.request.valid.eq(~asked),
                    reply.valid.eq(self.response.valid),
                    reply.payload.byte.eq(self.response.payload.word_select(count, 8)),
                    reply.payload.last.eq((left == 1) & (count == WORD_BYTES - 1)),
                ]
                with m.If(self.request.valid & self.request.ready):
                    m.d.sync += asked.eq(1)
                with m.If(reply.valid & reply.ready):
                    m.d.sync += count.eq(count + 1)
                    with m.If(count == WORD_BYTES - 1):
                        m.d.comb += self.response.ready.eq(1)
                        m.d.sync += [address.eq(address + WORD_BYTES), left.eq(left - 1)]
                        m.d.sync += asked.eq(0)
                        with m.If(left == 1):
                            m.next = "END"
            with m.State("END"):
                m.d.comb += self.frame.ready.eq(1)
                m.d.sync += position.eq(0)
                m.next = "SETTLE"
            with m.State("SETTLE"):
                # The frame's first byte, when there is one, needs a cycle with its address.
                m.next = "IDLE"
        m.d.comb += [self.request.payload.address.eq(address), self.request.payload.data.eq(word)]
        return m
