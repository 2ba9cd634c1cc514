"""Cells of a device: their state, and what pulses, reads and time do to it."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.devices.aging import aged, closing, worn_out
from celosia.golden.crossbar.devices.device import Conduction, Device, Law
from celosia.golden.crossbar.devices.draws import Purpose, normals, uniforms
from celosia.golden.crossbar.devices.filament import reset_pulse, set_pulse, width_v

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Polarity(IntEnum):
    """Kinds of write pulses."""

    SET = 0
    RESET = 1
    FORM = 2


class DeviceCells:
    """`count` cells, fresh (unformed) at first; all conductances in uS.

    Everything random is drawn by what it is for, the cell and how often it was accessed, so that
    cells may be pulsed and read in any order or all at once.

    Attributes:
        device: what they are made of.
        programmed: conductances that the last pulses left, at that time [count].
        formed: whether each conducts at all [count].
        pulses, reads, cycles: write pulses, reads, and RESETs after a SET so far [count].
        disturbances: pulses that other cells were meant to have [count].
        now: seconds since these cells were made; `wait` advances it.
        changes: grows with every pulse, write and wait: conductances are the same while it is.
    """

    def __init__(self, device: Device, count: int, seed: int) -> None:
        self.device = device
        self.seed = seed
        self.now = 0.0
        self.changes = 0
        self.programmed = np.full(count, device.forming.fresh_us)
        self.formed = np.zeros(count, bool)
        self.pulses = np.zeros(count, np.int64)
        self.reads = np.zeros(count, np.int64)
        self.cycles = np.zeros(count, np.int64)
        self.disturbances = np.zeros(count, np.int64)
        self._set = np.zeros(count, bool)  # SET or formed since the last RESET
        self._last_pulse = np.zeros(count)
        everyone = np.arange(count)
        stuck = uniforms(seed, Purpose.STUCK, everyone, 0)
        self.stuck_low: BoolArray = stuck < device.faults.stuck_low
        self.stuck_high: BoolArray = stuck >= 1.0 - device.faults.stuck_high

    def __len__(self) -> int:
        return len(self.programmed)

    def pulse(
        self,
        polarity: Polarity,
        cells: IntArray,
        gate_v: FloatArray,
        line_v: FloatArray,
        width_s: float,
    ) -> None:
        """One write pulse to each of cells [n] (none twice), with its own voltages [n].

        A cell that isn't formed answers to FORM only; a formed one takes FORM for a SET.
        """
        if width_s <= 0 or not len(cells):
            return
        self.changes += 1
        extra_v = width_v(self.device.pulse_width, width_s)
        self.pulses[cells] += 1
        fresh = ~self.formed[cells]
        if polarity == Polarity.FORM and fresh.any():
            self._form(cells[fresh], gate_v[fresh], line_v[fresh] + extra_v)
        held = ~fresh & ~worn_out(self.device.endurance, self.seed, cells, self.cycles[cells])
        if held.any():
            on = cells[held]
            after = self._moved(polarity, on, gate_v[held], line_v[held] + extra_v)
            self._take(polarity, on, after)

    def disturb(
        self,
        polarity: Polarity,
        cells: IntArray,
        gate_v: FloatArray,
        line_v: FloatArray,
        width_s: float,
    ) -> None:
        """A part of a pulse that another cell has, at each of cells [n] (none twice).

        It does what a pulse of these voltages does, FORM too. A cell that it leaves as it was
        hasn't noticed it: it relaxes on, and isn't worn.
        """
        if width_s <= 0 or not len(cells):
            return
        self.disturbances[cells] += 1
        line_v = line_v + width_v(self.device.pulse_width, width_s)
        fresh = ~self.formed[cells]
        if polarity == Polarity.FORM and fresh.any():
            forms = self._forms(cells[fresh], gate_v[fresh], line_v[fresh])
            if forms.any():
                self.changes += 1
                self._form(cells[fresh][forms], gate_v[fresh][forms], line_v[fresh][forms])
        held = ~fresh & ~worn_out(self.device.endurance, self.seed, cells, self.cycles[cells])
        on = cells[held]
        after = self._moved(polarity, on, gate_v[held], line_v[held])
        moved = after != self.programmed[on]
        if moved.any():
            self.changes += 1
            self.pulses[on[moved]] += 1
            self._take(polarity, on[moved], after[moved])

    def form(self) -> None:
        """Form and deeply RESET every cell that can be formed, as cells are after FORM."""
        everyone = np.arange(len(self))
        plenty = np.full(len(self), self.device.forming.highest_v + 1.0)
        width_s = 1e-6 if self.device.pulse_width is None else self.device.pulse_width.reference_s
        self.pulse(Polarity.FORM, everyone, plenty, plenty, width_s)
        self.pulse(Polarity.RESET, everyone, 2 * plenty, plenty, width_s)

    def write(self, cells: IntArray, targets_us: FloatArray) -> None:
        """Put cells [n] at their targets [n] as programming would, with its error by state.

        This stands for a whole program-and-verify of the device, whose error is published for many
        devices; it costs one pulse and forms cells that can be formed.
        """
        self.changes += 1
        self.pulses[cells] += 1
        self.cycles[cells] += 1
        self.formed[cells] = ~self._unformable(cells)
        on = self.formed[cells]
        sigma = self.device.programming_error(targets_us)
        deviates = normals(self.seed, Purpose.LANDING, cells, self.pulses[cells])
        self._land(cells[on], np.maximum(targets_us + sigma * deviates, 0.0)[on])

    def wait(self, seconds: float) -> None:
        """Let time pass: cells relax and drift."""
        self.now += seconds
        self.changes += 1

    def conductances(self, cells: IntArray | None = None) -> FloatArray:
        """Conductances of cells (all by default) now, without read noise."""
        cells = np.arange(len(self)) if cells is None else cells
        window = self.device.window
        values = aged(
            self.device,
            self.seed,
            cells,
            self.pulses[cells],
            self.programmed[cells],
            self.now - self._last_pulse[cells],
        )
        values = np.where(self.formed[cells], values, self.device.forming.fresh_us)
        stuck_low = self.stuck_low[cells] & (self.cycles[cells] > 0)
        values = np.where(stuck_low, window.low_us, values)
        dead = worn_out(self.device.endurance, self.seed, cells, self.cycles[cells])
        stuck_high = self.stuck_high[cells] & self.formed[cells]
        return np.where(stuck_high | dead, window.high_us, values)

    def read(self, cells: IntArray) -> FloatArray:
        """Conductances of cells [n] (none twice) as one read finds them, with its noise."""
        values = self.conductances(cells)
        deviates = normals(self.seed, Purpose.READ, cells, self.reads[cells])
        self.reads[cells] += 1
        return np.maximum(values + deviates * self.read_sigma(cells, values), 0.0)

    def read_sigma(self, cells: IntArray, conductances: FloatArray) -> FloatArray:
        """Standard deviation of a read of cells [n] that have these conductances [n], uS."""
        sigma = self.device.read_noise(conductances)
        flicker = self.device.flicker
        if flicker is not None:
            x = np.maximum(conductances / self.device.window.high_us, 1e-9)
            share = np.minimum(flicker.scale / x**flicker.exponent, flicker.highest)
            age = self.now - self._last_pulse[cells]
            octaves = np.log((age + 2 * flicker.read_s) / (2 * flicker.read_s))
            sigma = np.hypot(sigma, conductances * share * np.sqrt(octaves))
        return sigma

    def currents(self, conductances: FloatArray, volts: FloatArray) -> FloatArray:
        """Currents in uA of cells of these conductances (uS) at these voltages (V)."""
        if self.device.conduction == Conduction.SINH:
            bend = self.device.sinh_per_v
            return conductances * np.sinh(bend * volts) / bend
        return conductances * volts

    def _forms(self, cells: IntArray, gate_v: FloatArray, line_v: FloatArray) -> BoolArray:
        forming = self.device.forming
        needed_v = forming.mean_v + forming.sigma_v * normals(
            self.seed, Purpose.FORM_VOLTAGE, cells, 0
        )
        needed_v = np.clip(needed_v, forming.lowest_v, forming.highest_v)
        enough: BoolArray = (line_v >= needed_v) & (gate_v >= forming.gate_v)
        return enough & ~self._unformable(cells)

    def _form(self, cells: IntArray, gate_v: FloatArray, line_v: FloatArray) -> None:
        forming, forms = self.device.forming, self._forms(cells, gate_v, line_v)
        self.formed[cells] = forms
        spread = forming.spread * normals(self.seed, Purpose.FORMED, cells, 0)
        self._set[cells] = True
        self._land(cells[forms], (forming.formed_us * np.exp(spread))[forms])

    def _unformable(self, cells: IntArray) -> BoolArray:
        fails = uniforms(self.seed, Purpose.FORM_FAILS, cells, 0)
        return fails < self.device.forming.failing

    def _moved(
        self, polarity: Polarity, cells: IntArray, gate_v: FloatArray, line_v: FloatArray
    ) -> FloatArray:
        """Where a pulse takes formed cells [n]."""
        # Each of both counts has bits of its own.
        access = self.pulses[cells] + (self.disturbances[cells] << 32)
        move = self._reset if polarity == Polarity.RESET else self._set_or_raise
        return move(cells, access, gate_v, line_v)

    def _take(self, polarity: Polarity, cells: IntArray, conductances: FloatArray) -> None:
        """Cells [n] are where a pulse took them."""
        reset = polarity == Polarity.RESET
        if reset:
            self.cycles[cells] += self._set[cells]
        self._set[cells] = not reset
        self._land(cells, conductances)

    def _set_or_raise(
        self, cells: IntArray, access: IntArray, gate_v: FloatArray, line_v: FloatArray
    ) -> FloatArray:
        before = self.programmed[cells]
        if self.device.law == Law.DIRECT:
            direct, window = self.device.direct, self.device.window
            assert direct is not None
            share = (gate_v - direct.gate_low_v) / (direct.gate_high_v - direct.gate_low_v)
            aim = window.low_us + np.clip(share, 0.0, 1.0) * (window.high_us - window.low_us)
            return np.where(aim > before, self._near(cells, access, aim), before)
        assert self.device.set is not None
        return set_pulse(self.device.set, self.seed, cells, access, before, gate_v, line_v)

    def _reset(
        self, cells: IntArray, access: IntArray, gate_v: FloatArray, line_v: FloatArray
    ) -> FloatArray:
        before, cycles = self.programmed[cells], self.cycles[cells] + self._set[cells]
        risen = closing(self.device.endurance, cycles)
        if self.device.law == Law.DIRECT:
            direct, window = self.device.direct, self.device.window
            assert direct is not None
            share = (line_v - direct.line_low_v) / (direct.line_high_v - direct.line_low_v)
            aim = window.high_us - np.clip(share, 0.0, 1.0) * (window.high_us - window.low_us)
            aim = np.maximum(aim, window.low_us * risen)
            return np.where(aim < before, self._near(cells, access, aim), before)
        assert self.device.set is not None
        assert self.device.reset is not None
        return reset_pulse(
            self.device.reset,
            self.seed,
            cells,
            access,
            cycles,
            before,
            gate_v,
            line_v,
            risen,
            self.device.set.limit_us,
        )

    def _near(self, cells: IntArray, access: IntArray, aims_us: FloatArray) -> FloatArray:
        """Where pulses that aim at conductances land, with the programming error there."""
        deviates = normals(self.seed, Purpose.LANDING, cells, access)
        sigma = self.device.programming_error(aims_us)
        return np.maximum(aims_us + sigma * deviates, 0.0)

    def _land(self, cells: IntArray, conductances: FloatArray) -> None:
        self.programmed[cells] = conductances
        self._last_pulse[cells] = self.now
