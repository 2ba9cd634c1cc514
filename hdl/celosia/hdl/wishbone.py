"""The NPU on a Wishbone bus, for a system-on-chip of somebody else's."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.golden.bus_window import REGION_BITS, offset_bits, window_bytes
from celosia.golden.config import NpuConfig
from celosia.golden.memory_map import REGION_SHIFT, WORD_BYTES
from celosia.hdl.npu.interfaces import HostRequest
from celosia.hdl.npu.npu import Npu

__all__ = ["WishboneBridge", "WishboneNpu", "WishboneSignature"]


class WishboneSignature(wiring.Signature):
    """A device's side of a Wishbone bus: B4, classic cycles, 32 bits, addresses in words.

    Parameters
    ----------
    address_bits : int
        Width of `adr`.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "cyc": In(1),
                "stb": In(1),
                "we": In(1),
                "adr": In(address_bits),
                "sel": In(WORD_BYTES),
                "dat_w": In(32),
                "dat_r": Out(32),
                "ack": Out(1),
                "err": Out(1),
            }
        )


class WishboneBridge(wiring.Component):
    """From Wishbone to the NPU's host bus, one access at a time.

    The bus sees the window of `celosia.golden.bus_window`. A write that doesn't select all four
    bytes is answered with `err` and changes nothing, as the host bus knows whole words only; a
    read gives the whole word, whatever `sel` says. A master that ends its cycle before the answer
    gets none: the access is carried out, and the next one waits for that.

    Latency: `ack` comes in the third cycle of a write that the NPU takes at once, and one cycle
    after the NPU's answer to a read. Between two accesses there is no idle cycle.

    Members
    -------
    wb : Out(WishboneSignature)
        The bus.
    request : Out(stream.Signature(HostRequest)), response : In(stream.Signature(32))
        The NPU's host bus.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        super().__init__(
            {
                "wb": Out(WishboneSignature(ceil_log2(window_bytes(config) // WORD_BYTES))),
                "request": Out(stream.Signature(HostRequest)),
                "response": In(stream.Signature(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wb, request, response = self.wb, self.request, self.response
        word_bits = ceil_log2(WORD_BYTES)
        offset = wb.adr[: offset_bits(self._config) - word_bits]
        region = wb.adr[-REGION_BITS:]
        gap = REGION_SHIFT - word_bits - len(offset)
        asked = wb.cyc & wb.stb
        # The master has ended its cycle, and may have begun another one.
        gone = Signal()
        # The NPU has taken the access: a read as late as in the cycle of its answer.
        taken = Signal()

        with m.FSM(name="wishbone"):
            with m.State("IDLE"):
                m.d.sync += [
                    gone.eq(0),
                    taken.eq(0),
                    request.payload.write.eq(wb.we),
                    request.payload.address.eq(
                        Cat(Const(0, word_bits), offset, Const(0, gap), region)
                    ),
                    request.payload.data.eq(wb.dat_w),
                ]
                with m.If(asked):
                    m.next = "ACCESS"
                    with m.If(wb.we & ~wb.sel.all()):
                        m.next = "REFUSE"
            with m.State("ACCESS"):
                m.d.comb += [
                    request.valid.eq(~taken),
                    response.ready.eq(~request.payload.write),
                ]
                with m.If(request.valid & request.ready):
                    m.d.sync += taken.eq(1)
                    with m.If(request.payload.write):
                        m.next = "ANSWER"
                with m.If(response.valid & response.ready):
                    m.d.sync += wb.dat_r.eq(response.payload)
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += wb.ack.eq(asked & ~gone)
                m.next = "IDLE"
            with m.State("REFUSE"):
                m.d.comb += wb.err.eq(asked)
                m.next = "IDLE"
        with m.If(~asked):
            m.d.sync += gone.eq(1)
        return m


class WishboneNpu(wiring.Component):
    """An NPU as a device on a Wishbone bus; ports and timing are those of `WishboneBridge`.

    Parameters
    ----------
    config : NpuConfig
        Sizes of the NPU. With a crossbar the window has 2 GiB.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        super().__init__(
            {"wb": Out(WishboneSignature(ceil_log2(window_bytes(config) // WORD_BYTES)))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.bridge = bridge = WishboneBridge(self._config)
        m.submodules.npu = npu = Npu(self._config)
        wiring.connect(m, wiring.flipped(self.wb), bridge.wb)
        wiring.connect(m, bridge.request, npu.request)
        wiring.connect(m, npu.response, bridge.response)
        return m
