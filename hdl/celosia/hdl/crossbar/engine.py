"""The crossbar as an engine of the NPU's: the whole controller, and tiles on the emulator."""

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import NpuConfig
from celosia.golden.timing.crossbar import ROWS_PER_CYCLE
from celosia.hdl.crossbar.controller import Controller
from celosia.hdl.crossbar.emulator import Emulator
from celosia.hdl.crossbar.pixel_gatherer import PixelGatherer
from celosia.hdl.crossbar.window import CrossbarWindow
from celosia.hdl.npu.interfaces import CrossbarEngineSignature, HostRequest

__all__ = ["CrossbarEngine"]


class CrossbarEngine(wiring.Component):
    """Multiplies the vectors of a pixel by a tile, and does what the host commands meanwhile.

    Sums are those of x + 128. Products and commands take turns on the front end, as `Controller`
    has it: a command waits for the product at hand, and products wait for commands.

    Members:
        vectors, sums: see `CrossbarEngineSignature`.
        request, response: the host's accesses to region CROSSBAR, as for `CrossbarWindow`.
        restart: forgets pixels, products, commands, and results that wait; cells, tables, settings
            and status stay, and a watchdog that has bitten.
        interlock: level: no pulse without it.
        busy: a product is being made.
    """

    def __init__(self, config: NpuConfig) -> None:
        assert config.crossbar is not None
        self._config = config
        self._tiles = config.crossbar
        engine = CrossbarEngineSignature(config.rows, config.columns)
        super().__init__(
            {
                **engine.members,
                "request": In(stream.Signature(HostRequest)),
                "response": Out(stream.Signature(32)),
                "restart": In(1),
                "interlock": In(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tiles = self._tiles
        restarted = ResetInserter(self.restart)
        window, gatherer = CrossbarWindow(tiles), PixelGatherer(self._config)
        m.submodules.window = restarted(window)
        m.submodules.gatherer = restarted(gatherer)
        m.submodules.controller = controller = Controller(tiles)
        m.submodules.emulator = emulator = Emulator(
            tiles, tiles.emulator, rows_per_cycle=ROWS_PER_CYCLE
        )
        wiring.connect(m, wiring.flipped(self.request), window.request)
        wiring.connect(m, window.response, wiring.flipped(self.response))
        wiring.connect(m, wiring.flipped(self.vectors), gatherer.vectors)
        wiring.connect(m, gatherer.requests, controller.requests)
        wiring.connect(m, controller.sums, wiring.flipped(self.sums))
        wiring.connect(m, controller.port, emulator.port)
        wiring.connect(m, window.cells, emulator.memory)
        for name in ("commands", "targets", "settings", "corrections"):
            wiring.connect(m, getattr(window, name), getattr(controller, name))
        wiring.connect(m, controller.results, window.results)
        m.d.comb += [
            emulator.answer.ready.eq(1),
            controller.abort.eq(window.abort),
            controller.restart.eq(self.restart),
            controller.interlock.eq(self.interlock),
            controller.status_address.eq(window.status_address),
            window.status_word.eq(controller.status_word),
            window.busy.eq(controller.busy),
            window.tripped.eq(controller.tripped),
            window.interlock.eq(self.interlock),
            self.busy.eq(controller.multiplying),
        ]
        return m
