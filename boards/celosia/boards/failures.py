"""Why synthesis or place-and-route gave nothing: one sentence, from what the tool printed.

The tools' own words are those of nextpnr 0.11 and Yosys 0.70; native tools and those in packages
print the same.
"""

import re
import signal

from celosia.boards.paths import module_and_signal

_TABLE = re.compile(r"Device utilisation:\n(?P<rows>(?:Info: .*\n?)+)")
_ROW = re.compile(r"Info:\s+(?P<name>\w+): *(?P<used>\d+)/ *(?P<available>\d+)")
_NONE_LEFT = re.compile(r"no BELs remaining to implement cell type '(?P<kind>[^']+)'")
_NO_PLACE = re.compile(
    r"(?:Unable to find (?:a )?(?:legal )?placement|failed to place)[^'\n]*(?:'(?P<cell>[^']+)')?"
)
_NO_ROUTE = re.compile(
    r"Failed to find a route for arc|Failed to route|cannot route|Routing design failed"
)
_NET = re.compile(r"\bnet (?:'(?P<quoted>[^']+)'|(?P<net>\S+?)\.?(?:\s|$))")
_MEMORY = re.compile(
    r"^(?!Info: |Warning: ).*(?:bad_alloc|Cannot allocate memory|out of memory)", re.I | re.M
)
#: An exception of C++ that nothing catches, or an abort, in WebAssembly.
_CRASH = re.compile(r"thrown Wasm exception|wasm `unreachable` instruction executed")
_STACK = re.compile(r"call stack exhausted|stack overflow", re.I)
_ERROR = re.compile(r"^(?:.*: )?ERROR: (?P<text>.+)$", re.M)
#: What a shell and Python make of a process that the system killed, which it does for memory.
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
_SMALLER = "choose a smaller configuration or a larger FPGA"


def explain_failure(tool: str, status: int, output: str) -> str:
    """Say in one sentence why a tool failed and what helps.

    Parameters
    ----------
    tool : str
        The program's name.
    status : int
        What it ended with, as `subprocess` says it.
    output : str
        Everything that it printed.
    """
    errors = [match["text"].strip() for match in _ERROR.finditer(output)]
    said = "\n".join(errors)
    if _MEMORY.search(output) or status in _KILLED:
        return (
            f"{tool} ran out of memory: end other programs, {_SMALLER}, or install a native "
            f"{tool} if this is the one of a Python package, which may use 4 GiB"
        )
    if _STACK.search(output):
        return (
            f"{tool} ran out of stack, which a tool in a Python package has little of: {_SMALLER}, "
            "or install a native one"
        )
    lacking = _lacking(output)
    if lacking:
        return f"the design doesn't fit: it needs {', '.join(lacking)}; {_SMALLER}"
    none_left = _NONE_LEFT.search(said)
    if none_left is not None:
        return f"the design doesn't fit: no {none_left['kind']} is left; {_SMALLER}"
    no_place = _NO_PLACE.search(said)
    if no_place is not None:
        return (
            f"{tool} finds no place for {_whose(no_place['cell'])}, though the FPGA has enough "
            f"elements of each kind: {_SMALLER}, or try another seed"
        )
    if _NO_ROUTE.search(said):
        net = _NET.search(said)
        what = f"net {net['quoted'] or net['net']}" if net else "the design"
        return f"{tool} finds no way to wire {what}: {_SMALLER}, or try another seed"
    if errors:
        return f"{tool} gave up: {errors[0].rstrip('.')}"
    printed, *crash = re.split(r"^Traceback ", output, maxsplit=1, flags=re.M)
    last = next((line.strip() for line in reversed(printed.splitlines()) if line.strip()), "")
    after = f", after {last!r}" if last else ""
    if crash and _CRASH.search(crash[0]):
        return (
            f"{tool} crashed without a reason{after}: a tool in a Python package, which may use "
            f"4 GiB, does so when memory runs out; {_SMALLER}, or install a native {tool}"
        )
    return f"{tool} broke off with status {status} and gave no reason{after}"


def _lacking(output: str) -> list[str]:
    """Elements that the last table of the output has too few of: "40 MULT18X18D of 28"."""
    tables = list(_TABLE.finditer(output))
    if not tables:
        return []
    rows = _ROW.finditer(tables[-1]["rows"])
    return [
        f"{int(row['used']):,} {row['name']} of {int(row['available']):,}"
        for row in rows
        if int(row["used"]) > int(row["available"])
    ]


def _whose(cell: str | None) -> str:
    if cell is None:
        return "all cells"
    module, name = module_and_signal(cell)
    return f"a cell of {module} ({name})"
