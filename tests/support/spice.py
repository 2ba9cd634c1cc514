"""An array's currents from ngspice, which we didn't write."""

import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NGSPICE = "ngspice"


def column_currents(
    conductance: NDArray[np.float64],
    volts: NDArray[np.float64],
    row: float,
    column: float,
    driver: float,
    sense: float,
    folder: Path,
) -> NDArray[np.float64]:
    """A [columns] out of the columns of an array; resistances in ohm, the last of a row's first
    segment and of a column's last are added to them. Works in `folder`."""
    rows, columns = conductance.shape
    ohm, volts_of = (1 / conductance).tolist(), volts.tolist()  # Python's numbers print all digits
    netlist = folder / "array.cir"
    result = folder / "array.txt"
    # Drivers as current sources with a resistor: no branch equations, half the time.
    first, last = row + driver, column + sense
    lines = ["array"]
    for r in range(rows):
        lines += [f"I{r} 0 w{r}_0 {volts_of[r] / first!r}", f"Rd{r} w{r}_0 0 {first!r}"]
        lines += [f"Rw{r}_{c} w{r}_{c - 1} w{r}_{c} {row!r}" for c in range(1, columns)]
        lines += [f"Rc{r}_{c} w{r}_{c} b{r}_{c} {ohm[r][c]!r}" for c in range(columns)]
    for c in range(columns):
        lines += [f"Rb{r}_{c} b{r - 1}_{c} b{r}_{c} {column!r}" for r in range(1, rows)]
        lines.append(f"Rs{c} b{rows - 1}_{c} 0 {last!r}")
    lines += [
        ".options gmin=1e-20 reltol=1e-12 abstol=1e-24 vntol=1e-18",
        ".control",
        "set numdgt=16",
        "op",
        *(f"print v(b{rows - 1}_{c}) >> {result}" for c in range(columns)),
        ".endc",
        ".end",
    ]
    netlist.write_text("\n".join(lines) + "\n")
    run = subprocess.run(
        [NGSPICE, "-b", str(netlist)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.exists(), run.stdout + run.stderr
    found = [float(line.split("=")[1]) for line in result.read_text().splitlines()]
    assert len(found) == columns
    return np.array(found) / last
