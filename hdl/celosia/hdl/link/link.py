"""The link's gateware: bytes on one side, the host bus on the other."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.link.identity import Identity
from celosia.hdl.link.command_port import CommandPort, identity_constants
from celosia.hdl.link.frame_receiver import FrameReceiver
from celosia.hdl.link.frame_transmitter import FrameTransmitter
from celosia.hdl.npu.interfaces import HostRequest
from celosia.hdl.stream import StreamFifo

__all__ = ["Link"]


class Link(wiring.Component):
    """Serves the host's frames (`celosia.golden.link`) on a host bus.

    ``rx`` keeps as many bytes as the identity says while a frame is being carried out or its answer
    sent; a host that keeps to that finds it ready always. Reset forgets frames and sequence.

    Parameters
    ----------
    identity : Identity
        What CONNECT is answered with.

    Members
    -------
    rx : In(stream.Signature(8)), tx : Out(stream.Signature(8))
        Bytes on the line.
    request : Out(stream.Signature(HostRequest)), response : In(stream.Signature(32))
        The host bus.
    """

    rx: stream.Interface
    tx: stream.Interface
    request: stream.Interface
    response: stream.Interface

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        super().__init__(
            {
                "rx": In(stream.Signature(8)),
                "tx": Out(stream.Signature(8)),
                "request": Out(stream.Signature(HostRequest)),
                "response": In(stream.Signature(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = queue = StreamFifo(shape=8, depth=self._identity.receive_bytes)
        m.submodules.receiver = receiver = FrameReceiver(identity_constants(self._identity))
        m.submodules.commands = commands = CommandPort()
        m.submodules.transmitter = transmitter = FrameTransmitter()
        wiring.connect(m, wiring.flipped(self.rx), queue.i)
        wiring.connect(m, queue.o, receiver.i)
        wiring.connect(m, receiver.frame, commands.frame)
        wiring.connect(m, commands.reply, transmitter.i)
        wiring.connect(m, transmitter.o, wiring.flipped(self.tx))
        wiring.connect(m, commands.request, wiring.flipped(self.request))
        wiring.connect(m, wiring.flipped(self.response), commands.response)
        m.d.comb += [receiver.address.eq(commands.address), commands.byte.eq(receiver.byte)]
        return m
