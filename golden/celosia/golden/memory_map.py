"""The host's view of the NPU: regions, registers, counters, unit states.

The host bus carries 32-bit words at byte addresses. Bits 28-31 choose the region. In a memory
region vector v starts at `v * stride`, where the stride is the vector's size rounded
up to a power of two of whole words; words beyond the vector read as zero and ignore writes. Words
of a scratchpad vector that are read upwards, one behind the other and with no other access between,
are those of one moment.
"""

from dataclasses import dataclass
from enum import IntEnum

from celosia.golden.config import NpuConfig

WORD_BYTES = 4
REGION_SHIFT = 28


class Region(IntEnum):
    """Regions of the host's address space: bits 28-31 of an address."""

    REGISTERS = 0
    """The registers below."""
    SCRATCHPAD = 1
    """Activations: vectors of R bytes."""
    WEIGHTS = 2
    """Program, weights, parameters and tables: vectors of C bytes."""
    ACCUMULATORS = 3
    """Sums: vectors of C int32, which the host can only read, if at all (`readable_sums`)."""
    PROFILE = 4
    """All counters as they stood at each mark: a word for each, which the host can only read."""
    CROSSBAR = 5
    """Where there is a crossbar: its windows, `CrossbarPort`."""


class CrossbarPort(IntEnum):
    """Windows of region CROSSBAR: bits 24-27 of the address.

    Nothing that the host does here ever waits for a command or a product: SETTING, CORRECTION and
    CELL that are written while one is under way, and COMMAND and LEVELS that there is no room for,
    are lost, which `CrossbarState` tells. Reads change nothing, and windows may be written twice,
    as a link does that has lost an answer; COMMAND, LEVELS and DROP are single words, which it
    writes once.
    """

    CORRECTION = 0
    """W. Entries of the tables (`celosia.golden.crossbar.corrections`), up to window 3: field, tile
    and place are bits 21-23, 11-20 and 0-10 of the address in words."""
    STATUS = 4
    """Counters, wear and map of defects, up to window 7: words by their address, as
    `celosia.golden.crossbar.telemetry` says."""
    CELL = 8
    """W. The back door to the emulator's cells: the row of LINE, a word for each column, lowest
    first: conductance in bits 0-9; bits 10-12 for one that was formed or not, against what cells
    are at first, is stuck low, is stuck high."""
    REGISTERS = 9
    """`CrossbarRegister`."""
    SETTING = 10
    """W. Settings, by their address in words (`celosia.golden.crossbar.settings`)."""
    TARGET = 11
    """W. Levels for PROGRAM and SCRUB, a word for each cell: word n is the n-th behind those that
    wait. They wait from the moment on when LEVELS says how many they are; there is room for
    `CROSSBAR_QUEUE`."""
    RESULT = 12
    """The results that wait, `RESULT_WORDS` for each, the oldest first; all zero where none waits.
    They stay until DROP says how many were read. Word 0: row in bits 0-7, column in 8-18, result in
    19-22, command in 23-26, the command's last in 27, 1 in 31. Word 1: tag in bits 0-7, code in
    8-19. Word 2: pulses in bits 0-12, those of SET in 16-28. Word 3 is zero. A command goes on
    while fewer than `CROSSBAR_QUEUE` results wait."""


class CrossbarRegister(IntEnum):
    """Registers of window REGISTERS, by byte address."""

    CONTROL = 0x00
    """W. Bits of `CrossbarControl`."""
    STATE = 0x04
    """Bits of `CrossbarState`; results that wait in bits 16-31."""
    LINE = 0x08
    """W. The row of cells that CELL writes: tile x rows + row."""
    REGION_ROWS = 0x0C
    """W. First row of the next commands' region in bits 0-15, its rows in 16-31."""
    REGION_COLUMNS = 0x10
    """W. The same of its columns."""
    COMMAND = 0x14
    """W. Starts a command on that region: `celosia.golden.crossbar.commands.Command` in bits 0-3,
    tag in 8-15, tile in 16-25. One may wait while another one is under way."""

    LEVELS = 0x18
    """W. As many levels as this number have been written to TARGET, and wait from now on."""
    DROP = 0x1C
    """W. Forget as many of the oldest results."""


class CrossbarControl(IntEnum):
    """Bits of the crossbar's CONTROL register."""

    ABORT = 1
    """End commands and drop products for as long as it is set."""
    FORGET = 2
    """Clear LOST."""


class CrossbarState(IntEnum):
    """Bits of the crossbar's STATE register."""

    IDLE = 1
    """No command is under way or waits, and no product."""
    TRIPPED = 2
    """The watchdog has ended a pulse: no write until reset."""
    INTERLOCK = 4
    """The interlock is closed: pulses may be made."""
    ABORT = 8
    """Abort is set."""
    LOST = 16
    """A write to region CROSSBAR was lost."""


CROSSBAR_PORT_SHIFT = 24
"""Where `CrossbarPort` stands in an address."""
CORRECTION_TILE_SHIFT, CORRECTION_FIELD_SHIFT = 11, 21
"""Where tile and field stand in the address of a correction, in words."""
CROSSBAR_QUEUE = 256
"""Targets that may wait, and results."""
RESULT_WORDS = 4
"""Words of a result; a power of two."""


class Register(IntEnum):
    """Registers, by byte address in their region. Those marked W take writes; all can be read."""

    IDENTITY = 0x00
    """The letters `CEL1`, little-endian."""
    GEOMETRY = 0x04
    """Rows (bits 0-7), columns (8-15), requantiser lanes (16-23), profiles (24-27, a bit each),
    depthwise taps (28-31)."""
    CONTROL = 0x08
    """W. Bits of `Control`: start the program, step mode, do the next step."""
    STATUS = 0x0C
    """Bits of `Status`: busy, done, stopped at an illegal opcode, a step is complete.
    Stopped and busy means that units wait for what may never come; START ends that."""
    PROGRAM = 0x10
    """W. Weight-memory vector of the first instruction: as many bits as its addresses have."""
    PROGRAM_COUNTER = 0x14
    """Weight-memory vector of the next instruction to be fetched."""
    UNITS = 0x18
    """States of the units, four bits each: sequencer, load, matrix, post (`UnitState`)."""
    QUEUES = 0x1C
    """Instructions waiting in front of load, matrix and post, eight bits each."""
    SEMAPHORES = 0x20
    """Counts of the semaphores, eight bits each."""
    MARKS = 0x24
    """Layers marked since the start."""
    CROSSBAR = 0x28
    """The crossbar, 0 where there is none: tiles (bits 0-10), rows (11-19), outputs (20-26), bits
    of a cell (27-29)."""
    COUNTERS = 0x40
    """First of the counters (`Counter`), one word each."""


class Status(IntEnum):
    """Bits of the STATUS register."""

    BUSY = 1
    """A program runs."""
    DONE = 2
    """A program was started and has ended."""
    ILLEGAL = 4
    """It ended at an illegal opcode."""
    STEPPED = 8
    """In step mode: the instruction is complete, and the sequencer waits for STEP."""


class Control(IntEnum):
    """Bits of the CONTROL register."""

    START = 1
    """Start the program, unless one runs."""
    STEP_MODE = 2
    """Pause after every instruction; the bit is kept until the next write."""
    STEP = 4
    """Go on to the next instruction."""


class UnitState(IntEnum):
    """What a unit is doing, for the UNITS register and the watchdog."""

    IDLE = 0
    """Nothing to do."""
    WAITING_SEMAPHORE = 1
    """The next instruction waits for a semaphore."""
    RUNNING = 2
    """At work."""
    WAITING_MEMORY = 3
    """A read was not granted or not answered yet."""
    WAITING_ENGINE = 4
    """The matrix engine doesn't take what is offered."""
    WAITING_QUEUE = 5
    """SEQUENCER: the queue of the instruction's unit is full, or it is busy and has none."""
    STEP_PAUSE = 6
    """SEQUENCER: paused in step mode."""
    DRAINING = 7
    """SEQUENCER: at HALT or an illegal opcode, until every unit is idle."""


class Counter(IntEnum):
    """Performance counters, cleared by START; each cycle counts in exactly one MATRIX_*."""

    CYCLES = 0
    """From the start command to the last unit idle after HALT."""
    MATRIX_BUSY = 1
    """An activation vector entered the array."""
    MATRIX_WEIGHTS = 2
    """An activation vector waited for its weight tile, or a DEPTHWISE for its weights."""
    MATRIX_DEPENDENCY = 3
    """The next MATMUL or DEPTHWISE waited for the previous layer's output (STORED)."""
    MATRIX_ACCUMULATORS = 4
    """The next MATMUL or DEPTHWISE waited for a drained half of the accumulators (DRAINED)."""
    MATRIX_MEMORY = 5
    """One of them ran but its vectors had not arrived from the scratchpad."""
    MATRIX_IDLE = 6
    """MATRIX had neither to run."""
    POST_BUSY = 7
    """POST executed an instruction."""
    POST_WAIT = 8
    """POST's next instruction waited for a semaphore."""
    LOAD_BUSY = 9
    """A weight vector entered the array or the depthwise engine."""
    MATRIX_DEPTHWISE = 10
    """The depthwise engine took taps, and no activation vector entered the array."""
    MATRIX_CROSSBAR = 11
    """The crossbar made a product, and neither of the others was at work."""


MEMORIES = (Region.SCRATCHPAD, Region.WEIGHTS, Region.ACCUMULATORS, Region.PROFILE)
"""Regions that are memories of vectors."""
PROFILE_WORDS = len(Counter)
IDENTITY = int.from_bytes(b"CEL1", "little")


@dataclass(frozen=True)
class MemoryGeometry:
    """Vectors of one memory region."""

    region: Region
    depth: int
    vector_bytes: int

    @property
    def stride_words(self) -> int:
        """Host words from one vector to the next: a power of two."""
        words = -(-self.vector_bytes // WORD_BYTES)
        return 1 << (words - 1).bit_length()

    def address(self, vector: int) -> int:
        """Byte address of a vector on the host bus."""
        return (self.region << REGION_SHIFT) | vector * self.stride_words * WORD_BYTES


def crossbar_word(config: NpuConfig) -> int:
    """What register CROSSBAR holds."""
    tiles = config.crossbar
    if tiles is None:
        return 0
    return tiles.tiles | tiles.rows << 11 | tiles.outputs << 20 | tiles.cell_bits << 27


def memory_geometry(config: NpuConfig, region: Region) -> MemoryGeometry:
    """Depth and vector size of a region of `MEMORIES`."""
    sums = config.accumulator_depth if config.readable_sums else 0
    depth, size = {
        Region.SCRATCHPAD: (config.scratchpad_depth, config.rows),
        Region.WEIGHTS: (config.weight_depth, config.columns),
        Region.ACCUMULATORS: (sums, 4 * config.columns),
        Region.PROFILE: (config.profile_depth, 4 * PROFILE_WORDS),
    }[region]
    return MemoryGeometry(region, depth, size)
