"""Carries out the host's frames on the host bus."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.link.commands import ADDRESS_BYTES, MAX_WORDS, WORD_BYTES, Reply, Request
from celosia.golden.link.frames import HEADER_BYTES
from celosia.golden.link.identity import IDENTITY_BYTES, Identity
from celosia.hdl.npu.interfaces import HostRequest

__all__ = ["CommandPort", "identity_constants"]

CONNECT_BYTES = HEADER_BYTES + 4
"""Those of a CONNECT."""


def identity_constants(identity: Identity) -> bytes:
    """What CONNECT is answered with, as the receiver's constants: where a CONNECT would go on."""
    return bytes(CONNECT_BYTES) + identity.encode()


class CommandPort(wiring.Component):
    """Executes frames in turn and answers each (`celosia.golden.link.commands`).

    A frame is carried out if its sequence is the expected one, else answered with EXPECTED; CONNECT
    always is. A body of the wrong length is REFUSED before anything was written. The next frame is
    looked at once the answer has been handed over. A byte of a frame takes two cycles, a byte of a
    word that was read one.

    Members
    -------
    frame, address, byte
        The frame at hand (`FrameReceiver`), which this port reads, with `identity_constants`.
    reply : Out(stream.Signature({"byte", "last"}))
        Answers, to `FrameTransmitter`.
    request : Out(stream.Signature(HostRequest)), response : In(stream.Signature(32))
        The host bus. ``request`` comes from registers, and ``response.ready`` depends on no other
        input of the bus.
    """

    frame: stream.Interface
    address: Signal
    byte: Signal
    reply: stream.Interface
    request: stream.Interface
    response: stream.Interface

    def __init__(self) -> None:
        super().__init__(
            {
                "frame": In(stream.Signature(8)),
                "address": Out(9),
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
        # `step` gets the next byte, for the next cycle. It may come again where `fresh`, once
        # the block RAM has the byte behind that.
        position, step, fresh = Signal(8), Signal(), Signal()
        # No reset, which would stand between the block RAM, slow as it is, and the register.
        byte = Signal(8, reset_less=True)
        m.d.comb += self.address.eq(position)  # but for the identity's
        m.d.sync += fresh.eq(~step)
        with m.If(step):
            m.d.sync += [byte.eq(self.byte), position.eq(position + 1)]

        word, count = Signal(32), Signal(2)
        address = Signal(32)
        left = Signal(range(MAX_WORDS + 1))
        writes, asking = Signal(), Signal()
        answer = Signal(8)
        has_body, last_word = Signal(), Signal()

        reply = self.reply
        # What is decided by, a cycle old: all of it stands for longer before it is looked at.
        in_turn, connect_fits, read_fits, write_fits = Signal(), Signal(), Signal(), Signal()
        words_length = Signal(signed(9))
        m.d.sync += [
            last_word.eq(left == 1),
            in_turn.eq(sequence == expected),
            connect_fits.eq(length == CONNECT_BYTES),
            read_fits.eq(length == HEADER_BYTES + ADDRESS_BYTES + 1),
            words_length.eq(length - HEADER_BYTES - ADDRESS_BYTES),
            write_fits.eq(
                (words_length > 0)
                & (words_length[:2] == 0)
                & (words_length <= MAX_WORDS * WORD_BYTES)
            ),
        ]

        def answer_with(kind: Reply, body: bool = False) -> None:
            m.d.sync += [answer.eq(kind), has_body.eq(int(body))]
            m.next = "HEADER"

        m.d.comb += [
            self.request.valid.eq(asking),
            self.request.payload.write.eq(writes),
            self.request.payload.address.eq(address),
            self.request.payload.data.eq(word),
        ]
        with m.If(self.request.ready):
            m.d.sync += asking.eq(0)

        with m.FSM(name="command"):
            with m.State("IDLE"):
                with m.If(self.frame.valid):
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.d.comb += step.eq(1)
                m.next = "SEQUENCE"
            with m.State("SEQUENCE"):
                with m.If(fresh):
                    m.d.comb += step.eq(1)
                    m.d.sync += sequence.eq(byte)
                    m.next = "COMMAND"
            with m.State("COMMAND"):
                with m.If(fresh):
                    m.d.comb += step.eq(1)
                    m.d.sync += [count.eq(0), writes.eq(byte == Request.WRITE)]
                    with m.If((byte == Request.CONNECT) & connect_fits):
                        m.d.sync += expected.eq(sequence + 1)
                        answer_with(Reply.IDENTITY, body=True)
                    with m.Elif(~in_turn):
                        m.d.sync += sequence.eq(expected)
                        answer_with(Reply.EXPECTED)
                    with m.Elif((byte == Request.READ) & read_fits):
                        m.next = "ADDRESS"
                    with m.Elif((byte == Request.WRITE) & write_fits):
                        m.d.sync += left.eq(words_length >> 2)
                        m.next = "ADDRESS"
                    with m.Else():
                        answer_with(Reply.REFUSED)
            with m.State("ADDRESS"):
                with m.If(fresh):
                    m.d.comb += step.eq(1)
                    m.d.sync += [address.eq(Cat(address[8:], byte)), count.eq(count + 1)]
                    with m.If(count == ADDRESS_BYTES - 1):
                        m.next = "COUNT"
                        with m.If(writes):
                            m.d.sync += expected.eq(expected + 1)
                            m.next = "GATHER"
            with m.State("COUNT"):
                with m.If(fresh):
                    m.d.sync += left.eq(byte)
                    with m.If((byte == 0) | (byte > MAX_WORDS)):
                        answer_with(Reply.REFUSED)
                    with m.Else():
                        m.d.sync += expected.eq(expected + 1)
                        answer_with(Reply.DATA, body=True)
            with m.State("GATHER"):
                with m.If(fresh):
                    m.d.comb += step.eq(1)
                    m.d.sync += [word.eq(Cat(word[8:], byte)), count.eq(count + 1)]
                    with m.If(count == WORD_BYTES - 1):
                        m.d.sync += asking.eq(1)
                        m.next = "WRITE"
            with m.State("WRITE"):
                with m.If(self.request.ready):
                    m.d.sync += [address.eq(address + WORD_BYTES), left.eq(left - 1)]
                    m.next = "GATHER"
                    with m.If(last_word):
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
                        with m.If(answer == Reply.IDENTITY):
                            m.next = "IDENTITY"
                        with m.Else():
                            m.d.sync += asking.eq(1)
                            m.next = "READ"
            with m.State("IDENTITY"):
                # The nonce, and then what the receiver holds behind the frame's last byte.
                m.d.comb += [
                    self.address[-1].eq(position >= CONNECT_BYTES),
                    reply.valid.eq(fresh),
                    reply.payload.byte.eq(byte),
                    reply.payload.last.eq(position == CONNECT_BYTES + IDENTITY_BYTES),
                ]
                with m.If(fresh & reply.ready):
                    m.d.comb += step.eq(1)
                    with m.If(reply.payload.last):
                        m.next = "END"
            with m.State("READ"):
                # A bus may take a read as late as its answer is taken.
                ends_word = count == WORD_BYTES - 1
                m.d.comb += [
                    reply.valid.eq(self.response.valid),
                    reply.payload.byte.eq(self.response.payload.word_select(count, 8)),
                    reply.payload.last.eq(last_word & ends_word),
                    self.response.ready.eq(reply.ready & ends_word),
                ]
                with m.If(reply.valid & reply.ready):
                    m.d.sync += count.eq(count + 1)
                    with m.If(ends_word):
                        m.d.sync += [address.eq(address + WORD_BYTES), left.eq(left - 1)]
                        m.d.sync += asking.eq(~last_word)
                        with m.If(last_word):
                            m.next = "END"
            with m.State("END"):
                m.d.comb += self.frame.ready.eq(1)
                m.d.sync += position.eq(0)
                m.next = "IDLE"
        return m
