"""The NPU as a board's core."""

import importlib.metadata

from amaranth.hdl import Module
from amaranth.lib import wiring

from celosia.boards.top import Core
from celosia.golden.config import NpuConfig
from celosia.golden.link.identity import board_identity
from celosia.hdl.link.linked_npu import LinkedNpu
from celosia.hdl.npu.double_pumped_storage import INFERRED, MemoryPlan
from celosia.hdl.npu.multipliers import EXPRESSIONS, MultiplierPlan

__all__ = ["NpuCore"]


class NpuCore(Core):
    """The NPU behind its link (`LinkedNpu`); error: a program ended at an illegal opcode.

    Parameters
    ----------
    config : NpuConfig
        Sizes of the NPU.
    build : bytes
        Digest of the gateware's sources, which the board identifies itself with.
    multipliers : MultiplierPlan
        Of what cells its multipliers are.
    memories : MemoryPlan
        Of what kind its memories are.
    """

    def __init__(
        self,
        config: NpuConfig,
        build: bytes,
        multipliers: MultiplierPlan = EXPRESSIONS,
        memories: MemoryPlan = INFERRED,
    ) -> None:
        self._config = config
        self._build = build
        self._plans = multipliers, memories
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        identity = board_identity(self._config, importlib.metadata.version("celosia"), self._build)
        m.submodules.linked = linked = LinkedNpu(self._config, identity, *self._plans)
        wiring.connect(m, wiring.flipped(self.rx), linked.rx)
        wiring.connect(m, linked.tx, wiring.flipped(self.tx))
        m.d.comb += [self.busy.eq(linked.status.busy), self.error.eq(linked.status.illegal)]
        return m
