"""The NPU's configuration: one frozen value that sizes gateware, compiler and golden machine."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.isa import COORDINATE_BITS, INSTRUCTION_BYTES
from celosia.golden.rounding import (
    FLOAT_MODES,
    PROFILE_MODES,
    RoundingMode,
    RoundingProfile,
    record_planes,
)
from celosia.golden.tables import read_toml

_LIMITS = {
    # 16 MiB of 4-byte vectors keep addresses within their 24 bits, sign included.
    # The accumulators take 4 cycles to update a vector, which the passes of at least 4 rows hide; a
    # table entry of four bytes must fit a weight vector.
    "rows": (4, 64),
    "columns": (4, 64),
    "scratchpad_kib": (1, 16384),
    "weight_kib": (1, 16384),
    "accumulator_depth": (8, 65536),
    "requantizer_lanes": (1, 64),
    "depthwise_taps": (0, 8),
    "queue_depth": (0, 64),
    "coordinate_bits": (8, 16),
    "profile_depth": (0, 1024),
}

_MULTIPLIER_BITS = 32
_SERIAL_BITS = (1, 4, 8, 16)
_BIT_SERIAL_CYCLES = 65

DEPTHWISE_STRIP_ROWS = 16
"""Rows of the depthwise engine's strip buffer."""
DEPTHWISE_WORDS = 32
"""Kernel rows x groups of T kernel columns that the depthwise engine has room for."""


@dataclass(frozen=True, kw_only=True)
class NpuConfig:
    """Sizes of one NPU.

    Attributes:
        name: what it is called in reports.
        rows: R, rows of the array and lanes of a scratchpad vector (int8).
        columns: C, columns of the array and bytes of a weight-memory vector.
        scratchpad_kib: activation memory in KiB.
        weight_kib: memory for weights, parameters, tables and the program itself in KiB.
        accumulator_depth: vectors of C int32 sums; the halves are filled and drained in turn.
        requantizer_lanes: outputs requantised in one cycle; divides `rows`.
        requantizer_bits: bits of the multiplier that a lane takes in a cycle: 32, or 4, 8 or 16 for
            a smaller one, of integer modes only; an output then takes 32 / bits + 1 cycles. With 1
            POST does all of it a bit at a time, which is by far the smallest: 65 cycles an output,
            for a single lane without vector operations.
        profiles: rounding profiles that the requantiser is built for.
        depthwise_taps: T, kernel columns that the depthwise engine takes at a time; 0 for none.
        queue_depth: instructions that wait in front of each unit; with 0 the one that was fetched
            waits until its unit takes it, and all behind it.
        profile_depth: layers whose counters are kept; 0 for none.
        coordinate_bits: bits of MATRIX's coordinates, their sign included, of its images' sides and
            of its loops' iterations.
        vector_operations: whether POST has ADD, MUL and POOL, which read the scratchpad. Without
            them it is smaller; sums and copies of vectors are then products with ones.
        readable_sums: whether the host can read the accumulators, which nothing needs but a search
            for faults of the gateware.
        crossbar: the bank of crossbar tiles beside the array, or None. Its tiles have as many
            outputs as the array has columns, and their rows are a multiple of the array's.

    Raises:
        CelosiaError: a value is of the wrong type, out of range, or doesn't fit the others.
    """

    name: str
    rows: int
    columns: int
    scratchpad_kib: int
    weight_kib: int
    accumulator_depth: int
    requantizer_lanes: int
    profiles: tuple[RoundingProfile, ...]
    depthwise_taps: int = 3
    queue_depth: int = 8
    profile_depth: int = 256
    requantizer_bits: int = _MULTIPLIER_BITS
    coordinate_bits: int = COORDINATE_BITS
    vector_operations: bool = True
    readable_sums: bool = True
    crossbar: CrossbarConfig | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise CelosiaError(f"name must be a non-empty string, not {self.name!r}")
        for key, (low, high) in _LIMITS.items():
            value = getattr(self, key)
            if type(value) is not int or not low <= value <= high:
                raise CelosiaError(f"{key} must be an integer from {low} to {high}, not {value!r}")
        for key in ("vector_operations", "readable_sums"):
            if type(getattr(self, key)) is not bool:
                raise CelosiaError(f"{key} must be true or false, not {getattr(self, key)!r}")
        if self.rows % self.requantizer_lanes:
            raise CelosiaError(
                f"requantizer_lanes must divide rows ({self.rows}), not be {self.requantizer_lanes}"
            )
        if self.accumulator_depth % 2:
            raise CelosiaError(
                f"accumulator_depth must be even to be filled and drained in halves, "
                f"not {self.accumulator_depth}"
            )
        self._check_profiles()
        self._check_requantizer()
        self._check_crossbar()
        least = self.instruction_vectors + self.rows + self.parameter_vectors
        if self.weight_depth < least:
            raise CelosiaError(
                f"weight_kib must hold at least one instruction, tile and parameter record "
                f"({least} vectors of {self.columns} bytes), not {self.weight_depth} vectors"
            )

    def _check_requantizer(self) -> None:
        known = (*_SERIAL_BITS, _MULTIPLIER_BITS)
        if type(self.requantizer_bits) is not int or self.requantizer_bits not in known:
            raise CelosiaError(
                f"requantizer_bits must be one of {', '.join(map(str, known))}, "
                f"not {self.requantizer_bits!r}"
            )
        if self.requantizer_cycles > 1 and self.modes & FLOAT_MODES:
            raise CelosiaError(
                f"requantizer_bits must be {_MULTIPLIER_BITS} for profiles that multiply in float, "
                f"not {self.requantizer_bits}"
            )
        if self.is_bit_serial and (self.requantizer_lanes > 1 or self.vector_operations):
            raise CelosiaError(
                "requantizer_bits must be more than 1 with several requantizer_lanes, or with "
                "vector_operations"
            )

    def _check_crossbar(self) -> None:
        tiles = self.crossbar
        if tiles is None:
            return
        if not isinstance(tiles, CrossbarConfig):
            raise CelosiaError(f"crossbar must be a table of its sizes, not {tiles!r}")
        if tiles.outputs != self.columns:
            raise CelosiaError(
                f"outputs of the crossbar must be the array's columns ({self.columns}), "
                f"not {tiles.outputs}"
            )
        if tiles.rows % self.rows:
            raise CelosiaError(
                f"rows of the crossbar must be a multiple of the array's ({self.rows}), "
                f"not {tiles.rows}"
            )

    def _check_profiles(self) -> None:
        known = ", ".join(RoundingProfile)
        if not isinstance(self.profiles, (tuple, list)) or not self.profiles:
            raise CelosiaError(f"profiles must be a list of some of {known}, not {self.profiles!r}")
        for profile in self.profiles:
            if profile not in list(RoundingProfile):
                raise CelosiaError(f"profiles must be some of {known}, not {profile!r}")
        object.__setattr__(self, "profiles", tuple(RoundingProfile(p) for p in self.profiles))

    @property
    def scratchpad_depth(self) -> int:
        """Scratchpad size in vectors of R bytes."""
        return self.scratchpad_kib * 1024 // self.rows

    @property
    def weight_depth(self) -> int:
        """Weight memory size in vectors of C bytes."""
        return self.weight_kib * 1024 // self.columns

    @property
    def instruction_vectors(self) -> int:
        """Weight vectors that one instruction takes."""
        return -(-INSTRUCTION_BYTES // self.columns)

    @property
    def modes(self) -> frozenset[RoundingMode]:
        """Modes that the requantiser is built for."""
        return frozenset(mode for profile in self.profiles for mode in PROFILE_MODES[profile])

    @property
    def compact(self) -> bool:
        """Whether it is built for few cells rather than for a fast clock: no registers in the way
        of what memories answer but those that clients have anyway."""
        return self.requantizer_cycles > 1

    @property
    def is_bit_serial(self) -> bool:
        """Whether POST requantises a bit a cycle, with parameters in block RAM: the smallest."""
        return self.requantizer_bits == 1

    @property
    def requantizer_cycles(self) -> int:
        """Cycles from one output of a requantiser's lane to the next."""
        if self.requantizer_bits == _MULTIPLIER_BITS:
            return 1
        if self.is_bit_serial:
            return _BIT_SERIAL_CYCLES
        return _MULTIPLIER_BITS // self.requantizer_bits + 1

    @property
    def vector_cycles(self) -> int:
        """Cycles from one requantised scratchpad vector to the next."""
        return self.rows // self.requantizer_lanes * self.requantizer_cycles

    @property
    def parameter_vectors(self) -> int:
        """Weight vectors of the longest parameter record: byte planes of what a channel has."""
        return max(record_planes(mode) for mode in self.modes)

    @property
    def table_entries_per_vector(self) -> int:
        """Table entries (int32) that one weight vector carries."""
        return self.columns // 4

    @property
    def table_vectors(self) -> int:
        """Weight vectors of one table of 256 entries."""
        return -(-256 // self.table_entries_per_vector)

    @property
    def tile_vectors(self) -> int:
        """Scratchpad vectors that one column tile fills: floor(C / R), or 1 where C < R."""
        return max(1, self.columns // self.rows)

    @property
    def tile_slices(self) -> int:
        """Column tiles that share one scratchpad vector: ceil(R / C), or 1 where C >= R."""
        return -(-self.rows // self.columns)

    @property
    def depthwise_lanes(self) -> int:
        """Lanes of the depthwise engine."""
        return min(self.rows, self.columns)

    @property
    def depthwise_columns(self) -> int:
        """Columns of the depthwise engine's strip buffer."""
        return 8 if self.depthwise_taps <= 4 else 16

    @property
    def macs(self) -> int:
        """Multiply-accumulates in one cycle."""
        return self.rows * self.columns


PRESETS: Mapping[str, NpuConfig] = {
    config.name: config
    for config in (
        NpuConfig(
            name="npu4x4",
            rows=4,
            columns=4,
            scratchpad_kib=64,
            weight_kib=64,
            accumulator_depth=256,
            requantizer_lanes=2,
            profiles=(RoundingProfile.TFLM,),
            profile_depth=32,
        ),
        NpuConfig(
            name="npu8x8",
            rows=8,
            columns=8,
            scratchpad_kib=96,
            weight_kib=288,
            accumulator_depth=256,
            requantizer_lanes=4,
            profiles=tuple(RoundingProfile),
        ),
        NpuConfig(
            name="npu16x16",
            rows=16,
            columns=16,
            scratchpad_kib=96,
            weight_kib=288,
            accumulator_depth=512,
            requantizer_lanes=8,
            profiles=tuple(RoundingProfile),
        ),
    )
}
"""Presets, named for their arrays."""


def load_config(source: str | Path) -> NpuConfig:
    """The configuration named by a preset or described by a TOML file.

    A TOML file names a preset (`base = "npu8x8"`) and overrides its fields; without `base` it gives
    every field that has no default.

    Raises:
        CelosiaError: no such preset or file, not TOML, an unknown key, or a value that can't be.
    """
    text = str(source)
    if text in PRESETS:
        return PRESETS[text]
    path = Path(source)
    if path.suffix != ".toml" and not path.is_file():
        presets = ", ".join(PRESETS)
        raise CelosiaError(f"configuration must be one of {presets} or a .toml file, not {text!r}")
    table = read_toml(path, "configuration")
    try:
        return config_from_mapping(table, default_name=path.stem, folder=path.parent)
    except CelosiaError as error:
        raise CelosiaError(f"configuration {text!r}: {error}") from error


def config_from_mapping(
    table: Mapping[str, Any], *, default_name: str, folder: Path | None = None
) -> NpuConfig:
    """The configuration that a TOML table (or a program file's header) describes.

    `folder` is where files are that it names.

    Raises:
        CelosiaError: an unknown key, or a value that can't be.
    """
    values = dict(table)
    base = values.pop("base", None)
    if base is not None and base not in list(PRESETS):  # a list takes any type
        raise CelosiaError(f"base must be one of {', '.join(PRESETS)}, not {base!r}")
    known = {item.name for item in fields(NpuConfig)}
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise CelosiaError(f"key must be one of {', '.join(sorted(known))}, not {key!r}{hint}")
    values.setdefault("name", default_name)
    if isinstance(values.get("crossbar"), Mapping):
        values["crossbar"] = _crossbar_from_mapping(values["crossbar"], folder or Path())
    if base is not None:
        return replace(PRESETS[base], **values)
    missing = sorted(
        item.name
        for item in fields(NpuConfig)
        if item.name not in values and item.name in _REQUIRED
    )
    if missing:
        raise CelosiaError(f"a value must be given for {', '.join(missing)}, or a base preset")
    return NpuConfig(**values)


def _crossbar_from_mapping(table: Mapping[str, Any], folder: Path) -> CrossbarConfig:
    known = {item.name for item in fields(CrossbarConfig)}
    for key in table:
        if key not in known:
            raise CelosiaError(
                f"key of the crossbar must be one of {', '.join(sorted(known))}, not {key!r}"
            )
    if isinstance(table.get("emulator"), Mapping):
        # Gateware, which reads configurations too, needs no physics unless they name a device.
        from celosia.golden.crossbar.emulated import crossbar_from_mapping

        return crossbar_from_mapping(table, folder)
    return CrossbarConfig(**table)


_REQUIRED = {f.name for f in fields(NpuConfig)} - {
    "depthwise_taps",
    "queue_depth",
    "profile_depth",
    "requantizer_bits",
    "coordinate_bits",
    "vector_operations",
    "readable_sums",
    "crossbar",
}


def config_to_mapping(config: NpuConfig) -> dict[str, Any]:
    """The configuration as plain values that `config_from_mapping` reads back."""
    return {**asdict(config), "profiles": [str(p) for p in config.profiles]}


def config_to_toml(config: NpuConfig) -> str:
    """The configuration as a file that `load_config` reads back."""
    values = config_to_mapping(config)
    crossbar = values.pop("crossbar")
    # Strings, numbers, booleans and lists of them are written alike in JSON and TOML.
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    if crossbar is not None:
        emulator = crossbar.pop("emulator")
        for name, table in (("crossbar", crossbar), ("crossbar.emulator", emulator)):
            lines += ["", f"[{name}]"]
            lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"
