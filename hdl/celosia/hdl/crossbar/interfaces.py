"""Signatures between the crossbar's blocks, derived from the specification."""

from amaranth.hdl import unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.crossbar.config import CODE_BITS, CrossbarConfig
from celosia.golden.crossbar.front_end import PORT, port_widths

__all__ = ["FrontEndSignature"]


class FrontEndSignature(wiring.Signature):
    """The analog front end's port, seen from the controller; `PORT` says what each signal means.

    All outputs come from registers of one clock domain. Enumerations are plain numbers here, and
    `codes` is an array of `adcs` codes.

    `ready`: strobes and rises of `pulse` come only in cycles with `ready`.
    While `mode` is SAFE it may fall in any cycle; in other modes it falls only in the cycle after
    a strobe or after the rise of `pulse`. So the controller leaves SAFE first, and looks at `ready`
    from the first cycle on in which `mode` isn't SAFE. A front end that needs no time may keep it
    high for ever.

    Writes (`mode` SET, RESET or FORM):

    - `tile`, `mode`, `biasing`, `rows` (one bit), `column`, `word_line` and `line` are stable from
      the rise of `inhibit` until after its fall.
    - `inhibit` rises before `pulse` and falls after it; how long is a setting of the controller.
    - `pulse` rises in a cycle with `ready` and stays for its width, of `unit_cycles` cycles each.
      An abort or a lost interlock ends it early; the cell then got as much as it got.
    - After its fall, from the first cycle in which it is low, `ready` says that the cell is done.

    Reads (`mode` READ):

    - `tile`, `rows`, `column`, `range`, `gain` and `sequence` are stable from `integrate` until the
      answer of the last `convert` that belongs to it.
    - `integrate` is high for one cycle; from the next cycle on, `ready` says that the currents of
      all columns are held. No rows at all may be driven.
    - `convert` is high for one cycle, with `group`; the first cycle after it with `ready` has
      `codes` and `saturated`, which hold until the next strobe. That strobe may come in the same
      cycle. Groups come in any order, any number of times.
    - Range CELL: one row is driven, one `convert` follows, with the group of `column`, and only the
      code of `column` counts; its place is `column` modulo `adcs`.

    The controller may fall back to SAFE in any cycle. Strobes and pulses in SAFE mean nothing; what
    the front end has begun it ends by itself, `ready` low, and forgets its held samples.
    """

    def __init__(self, config: CrossbarConfig) -> None:
        self._config = config
        widths = port_widths(config)
        flows = {"out": Out, "in": In}
        shapes = {name: unsigned(width) for name, width in widths.items()}
        shapes["codes"] = data.ArrayLayout(CODE_BITS, config.adcs)
        super().__init__({name: flows[flow](shapes[name]) for name, (flow, _) in PORT.items()})

    @property
    def config(self) -> CrossbarConfig:
        """Sizes of the tiles behind the port."""
        return self._config
