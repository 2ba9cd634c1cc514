"""An array's currents and voltages from ngspice, which we didn't write."""

import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NGSPICE = "ngspice"

Floats = NDArray[np.float64]


def column_currents(
    conductance: Floats,
    volts: Floats,
    row: float,
    column: float,
    driver: float,
    sense: float,
    folder: Path,
) -> Floats:
    """A [columns] out of the columns of an array, all at ground; arguments as for `node_volts`."""
    rows, columns = conductance.shape
    nodes = [f"b{rows - 1}_{c}" for c in range(columns)]
    ends = (row, column, driver, sense)
    found = _solve(conductance, volts, np.zeros(columns), *ends, nodes, folder)
    return found / (column + sense)


def node_volts(
    conductance: Floats,
    row_volts: Floats,
    column_volts: Floats,
    row: float,
    column: float,
    driver: float,
    sense: float,
    folder: Path,
) -> tuple[Floats, Floats]:
    """V [rows, columns] of the two ends of each cell: that on its row, that on its column.

    A source holds each line with a voltage that is a number; those that are NaN float. Resistances
    are in ohm, the driver's is added to the first segment of a row, the sense amplifier's to the
    last of a column. Works in `folder`.
    """
    shape = conductance.shape
    nodes = [f"{side}{r}_{c}" for side in "wb" for r in range(shape[0]) for c in range(shape[1])]
    ends = (row, column, driver, sense)
    found = _solve(conductance, row_volts, column_volts, *ends, nodes, folder)
    on_rows, on_columns = found.reshape(2, *shape)
    return on_rows, on_columns


def _solve(
    conductance: Floats,
    row_volts: Floats,
    column_volts: Floats,
    row: float,
    column: float,
    driver: float,
    sense: float,
    nodes: list[str],
    folder: Path,
) -> Floats:
    """V of the nodes asked for: w{row}_{column} and b{row}_{column}."""
    rows, columns = conductance.shape
    ohm = (1 / conductance).tolist()  # Python's numbers print all digits
    netlist, result = folder / "array.cir", folder / "array.txt"
    # Drivers as current sources with a resistor: no branch equations, half the time.
    first, last = row + driver, column + sense
    lines = ["array"]
    for r, volts in enumerate(row_volts.tolist()):
        if volts == volts:
            lines += [f"I{r} 0 w{r}_0 {volts / first!r}", f"Rd{r} w{r}_0 0 {first!r}"]
        lines += [f"Rw{r}_{c} w{r}_{c - 1} w{r}_{c} {row!r}" for c in range(1, columns)]
        lines += [f"Rc{r}_{c} w{r}_{c} b{r}_{c} {ohm[r][c]!r}" for c in range(columns)]
    for c, volts in enumerate(column_volts.tolist()):
        lines += [f"Rb{r}_{c} b{r - 1}_{c} b{r}_{c} {column!r}" for r in range(1, rows)]
        if volts == volts:
            end = f"b{rows - 1}_{c}"
            lines += [f"Is{c} 0 {end} {volts / last!r}", f"Rs{c} {end} 0 {last!r}"]
    lines += [
        ".options gmin=1e-20 reltol=1e-12 abstol=1e-24 vntol=1e-18",
        ".control",
        "set numdgt=16",
        "op",
        *(f"print v({node}) >> {result}" for node in nodes),
        ".endc",
        ".end",
    ]
    netlist.write_text("\n".join(lines) + "\n")
    run = subprocess.run(
        [NGSPICE, "-b", str(netlist)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.exists(), run.stdout + run.stderr
    found = [float(line.split("=")[1]) for line in result.read_text().splitlines()]
    assert len(found) == len(nodes)
    return np.array(found)
