"""The MVM unit with the limiter and the emulator, as a device under test."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.hdl.crossbar.emulator import Emulator, cell_access
from celosia.hdl.crossbar.limiter import Limiter
from celosia.hdl.crossbar.mvm_unit import MvmUnit, product_request
from celosia.hdl.crossbar.product_corrector import correction_write
from celosia.hdl.crossbar.product_reader import NUMBER_BITS


class MvmHarness(wiring.Component):
    """Requests, tables and the emulator's back door in; sums and counts out."""

    def __init__(self, config, emulator):
        self._sizes = config, emulator
        self.config = config
        super().__init__(
            {
                "requests": In(stream.Signature(product_request(config))),
                "corrections": In(stream.Signature(correction_write(config))),
                "memory": In(stream.Signature(cell_access(config))),
                "sums": Out(stream.Signature(data.ArrayLayout(signed(32), config.outputs))),
                "abort": In(1),
                "dropped": Out(1),
                "issued": Out(1),
                "reissued": Out(1),
                "clipped": Out(range(config.columns + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, emulator = self._sizes
        m.submodules.mvm = mvm = MvmUnit(config)
        m.submodules.limiter = limiter = Limiter(config)
        m.submodules.emulator = cells = Emulator(config, emulator, rows_per_cycle=4)
        wiring.connect(m, wiring.flipped(self.requests), mvm.requests)
        wiring.connect(m, wiring.flipped(self.corrections), mvm.corrections)
        wiring.connect(m, wiring.flipped(self.memory), cells.memory)
        wiring.connect(m, mvm.sums, wiring.flipped(self.sums))
        wiring.connect(m, mvm.reads, limiter.reads)
        wiring.connect(m, limiter.port, cells.port)
        number = Signal(NUMBER_BITS)
        m.d.sync += number.eq(number + (mvm.multiplied | mvm.dropped))
        m.d.comb += [
            mvm.number.eq(number),
            mvm.abort.eq(self.abort),
            limiter.abort.eq(self.abort),
            limiter.interlock.eq(1),
            mvm.settle.eq(2),
            cells.answer.ready.eq(1),
            *(
                getattr(self, name).eq(getattr(mvm, name))
                for name in ("dropped", "issued", "reissued", "clipped")
            ),
        ]
        return m
