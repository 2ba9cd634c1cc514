"""The NPU behind its link: what a board carries."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import NpuConfig
from celosia.golden.link.identity import Identity
from celosia.hdl.link.link import Link
from celosia.hdl.link.uart import UartReceiver, UartTransmitter
from celosia.hdl.npu.double_pumped_storage import INFERRED, MemoryPlan
from celosia.hdl.npu.host_port import STATUS
from celosia.hdl.npu.multipliers import EXPRESSIONS, MultiplierPlan
from celosia.hdl.npu.npu import Npu
from celosia.hdl.stream import StreamFifo

__all__ = ["LinkedNpu", "UartNpu"]


class LinkedNpu(wiring.Component):
    """An NPU whose host speaks the link's frames, a byte at a time.

    Parameters
    ----------
    config : NpuConfig
        Sizes of the NPU.
    identity : Identity
        What the board says it is.
    multipliers : MultiplierPlan
        Of what cells its multipliers are.
    memories : MemoryPlan
        Of what kind its memories are.

    Members
    -------
    rx : In(stream.Signature(8)), tx : Out(stream.Signature(8))
        Bytes on the line.
    status : Out(STATUS)
        The NPU's STATUS register, as it stands in this cycle.
    """

    rx: stream.Interface
    tx: stream.Interface
    status: data.View

    def __init__(
        self,
        config: NpuConfig,
        identity: Identity,
        multipliers: MultiplierPlan = EXPRESSIONS,
        memories: MemoryPlan = INFERRED,
    ) -> None:
        self._config = config
        self._identity = identity
        self._plans = multipliers, memories
        super().__init__(
            {
                "rx": In(stream.Signature(8)),
                "tx": Out(stream.Signature(8)),
                "status": Out(STATUS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.link = link = Link(self._identity)
        m.submodules.npu = npu = Npu(self._config, *self._plans)
        wiring.connect(m, wiring.flipped(self.rx), link.rx)
        wiring.connect(m, link.tx, wiring.flipped(self.tx))
        wiring.connect(m, link.request, npu.request)
        if self._config.is_bit_serial:  # whose clock is slow
            wiring.connect(m, npu.response, link.response)
        else:
            m.submodules.answers = answers = StreamFifo(shape=32, depth=1)
            wiring.connect(m, npu.response, answers.i)
            wiring.connect(m, answers.o, link.response)
        m.d.comb += self.status.eq(npu.status)
        return m


class UartNpu(wiring.Component):
    """The same behind a UART.

    Parameters
    ----------
    config, identity
        As for `LinkedNpu`.
    step : int
        `phase_step` of the UART's rate.
    memories : MemoryPlan
        As for `LinkedNpu`.

    Members
    -------
    rx : In(1), tx : Out(1)
        The wires.
    """

    rx: Signal
    tx: Signal

    def __init__(
        self, config: NpuConfig, identity: Identity, *, step: int, memories: MemoryPlan = INFERRED
    ) -> None:
        self._linked = config, identity, EXPRESSIONS, memories
        self._step = step
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(step=self._step)
        m.submodules.transmitter = transmitter = UartTransmitter(step=self._step)
        m.submodules.linked = linked = LinkedNpu(*self._linked)
        wiring.connect(m, receiver.o, linked.rx)
        wiring.connect(m, linked.tx, transmitter.i)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]
        return m
