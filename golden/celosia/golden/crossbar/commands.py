"""The controller's commands, results and settings, as software and gateware see them."""

from enum import IntEnum


class Command(IntEnum):
    """What the controller is told to do, on a tile and a region of its cells (or its outputs)."""

    NOP = 0
    """Nothing; answers at once."""
    FORM = 1
    """Form every cell of the region, then RESET and verify it."""
    PROGRAM = 2
    """Bring every cell of the region to the level that the targets stream gives for it."""
    READ = 3
    """Give the code of every cell of the region."""
    MVM = 4
    """Multiply one input vector by the tile."""
    CALIBRATE = 5
    """Measure offset and gain of every column of the tile, and correct products with them; answers
    column by column."""
    SCRUB = 6
    """Read every cell of the region, and program again those that left their level's window."""
    BIST = 7
    """Find the region's stuck cells: program lowest and highest level, read, enter the map."""
    REPAIR = 8
    """Put spare outputs in the place of those with most defects, as the map says; answers output
    by output."""
    COMPENSATE = 9
    """Measure the tile again, and scale its products by what it has lost since CALIBRATE."""
    CLEAR = 10
    """Set all counters of the telemetry to zero."""
    RENEW = 11
    """The tile was replaced: empty its map, and set the wear of its rows to zero."""


ON_CELLS = (Command.FORM, Command.PROGRAM, Command.READ, Command.SCRUB, Command.BIST)
"""Commands on a rectangle of cells, answered cell by cell. MVM is none of these, nor of the
others: it comes as a request with its vector."""
TARGETED = (Command.PROGRAM, Command.SCRUB)
"""Those that take a level for each cell."""
MAINTENANCE = (
    Command.NOP,
    Command.CALIBRATE,
    Command.REPAIR,
    Command.COMPENSATE,
    Command.CLEAR,
    Command.RENEW,
)
"""Commands that take no notice of the rectangle."""


class Result(IntEnum):
    """How a command ended for a cell, a column (CALIBRATE), an output (REPAIR) or the tile."""

    CONVERGED = 0
    """Inside its window, confirmed by another read. Of other commands: done, nothing to tell."""
    STUCK_LOW = 1
    """At the end of the SET ramp, still below the window."""
    STUCK_HIGH = 2
    """At the end of the RESET ramp, still above the window."""
    OSCILLATING = 3
    """More changes of direction than allowed."""
    TIMEOUT = 4
    """More pulses than allowed."""
    UNFORMED = 5
    """FORM reached its last pulse and the cell doesn't conduct."""
    ABORTED = 6
    """Abort or a lost interlock ended the command before this cell was finished, or the cell's next
    pulse was beyond a limit. Or there is no such command, tile or region."""
    UNCALIBRATED = 7
    """The column saturates, or its gain or offset is beyond its width: it keeps a gain of one.
    COMPENSATE: there is no calibration to compare with, or the tile conducts too little."""
    MOVED = 8
    """Another physical output stands for this one than before: its cells must be programmed."""


class Scheme(IntEnum):
    """How PROGRAM steps its pulses."""

    STEP = 0
    """Incremental step pulses (ISPP): the word line rises by a step after each pulse."""
    COARSE_FINE = 1
    """Coarse word-line steps until the cell is near its window, then fine line steps."""
