"""A build's report in the terminal: clocks, elements of the FPGA, critical paths."""

from rich.markup import escape
from rich.table import Table

from celosia.boards.paths import CriticalPath
from celosia.boards.report import BuildReport
from celosia.runtime.cli.output import results

#: What nextpnr's names of elements stand for; elements that aren't used are shown for these only.
_ELEMENTS = {
    "TRELLIS_COMB": "LUTs",
    "TRELLIS_FF": "flip-flops",
    "MULT18X18D": "multipliers",
    "DP16KD": "block RAMs",
    "EHXPLLL": "PLLs",
    "ICESTORM_LC": "logic cells",
    "ICESTORM_DSP": "multipliers",
    "ICESTORM_RAM": "block RAMs",
    "ICESTORM_SPRAM": "large RAMs",
    "ICESTORM_PLL": "PLLs",
    "LUT4": "LUTs",
    "ALU": "carry cells",
    "DFF": "flip-flops",
    "RAM16SDP4": "LUT RAMs",
    "MULT9X9": "multipliers",
    "MULT18X18": "multipliers",
    "BSRAM": "block RAMs",
    "rPLL": "PLLs",
}


def print_report(report: BuildReport) -> None:
    """Print the report: timing, what is used and left, and where the longest paths go."""
    results.print(_clocks(report))
    for crossing in report.crossings:
        results.print(
            f"paths from {escape(crossing.from_clock)} to {escape(crossing.to_clock)} take up to "
            f"{crossing.ns:.1f} ns of the {crossing.limit_ns:.1f} ns between their edges: "
            f"{'[green]met[/]' if crossing.met else '[bold red]missed[/]'}",
            soft_wrap=True,
        )
    for network in report.networks:
        results.print(
            f"{escape(network.signal)} takes {network.ns:.1f} ns of {report.period_ns:.1f} ns over "
            "a clock network to what it enables: "
            f"{'[green]met[/]' if report.in_time(network) else '[bold red]missed[/]'}",
            soft_wrap=True,
        )
    results.print()
    results.print(_utilisation(report))
    for path in report.critical_paths:
        results.print()
        _print_path(path)
    if report.untimed:
        results.print(
            f"\nnextpnr knows no delay of this FPGA's {' and '.join(report.untimed)}, so that the "
            "frequencies are upper bounds, and whether the constraints are met is not known",
            soft_wrap=True,
        )


def _clocks(report: BuildReport) -> Table:
    table = Table(box=None, pad_edge=False, title="Clocks", title_justify="left")
    table.add_column("clock", no_wrap=True)
    for title in ("may run at", "asked for", "margin"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name, clock in report.clocks.items():
        if not clock.met:
            verdict = "[bold red]missed[/]"
        elif report.untimed:
            verdict = "[yellow]not known[/]"
        else:
            verdict = "[green]met[/]"
        bound = "at most " if report.untimed else ""
        table.add_row(
            escape(name),
            f"{bound}{clock.fmax_mhz:,.1f} MHz",
            f"{clock.constraint_mhz:,.1f} MHz",
            f"{clock.fmax_mhz / clock.constraint_mhz - 1:+.0%}",
            verdict,
        )
    return table


def _utilisation(report: BuildReport) -> Table:
    table = Table(box=None, pad_edge=False, title="Elements of the FPGA", title_justify="left")
    table.add_column("element", no_wrap=True)
    table.add_column("nextpnr's name", no_wrap=True)
    for title in ("used", "available", "left", ""):
        table.add_column(title, justify="right", no_wrap=True)
    known = [name for name in _ELEMENTS if name in report.utilisation]
    others = [
        name
        for name, resource in report.utilisation.items()
        if resource.used and name not in _ELEMENTS
    ]
    for name in (*known, *others):
        resource = report.utilisation[name]
        share = resource.used / resource.available if resource.available else 0.0
        table.add_row(
            _ELEMENTS.get(name, ""),
            escape(name),
            f"{resource.used:,}",
            f"{resource.available:,}",
            f"{resource.left:,}",
            f"{share:.0%}",
        )
    return table


def _print_path(path: CriticalPath) -> None:
    inside = path.from_clock == path.to_clock
    clocks = path.to_clock if inside else f"{path.from_clock} to {path.to_clock}"
    results.print(
        f"Critical path of {escape(clocks)}: {path.ns:.1f} ns, {path.logic_ns:.1f} in logic and "
        f"{path.routing_ns:.1f} on wires, from {escape(path.start)} to {escape(path.end)}",
        soft_wrap=True,
    )
    for part in path.parts:
        results.print(
            f"  {escape(part.module)}: {part.ns:.1f} ns of {path.ns:.1f} ns "
            f"({part.logic_ns:.1f} logic, {part.routing_ns:.1f} wires)",
            soft_wrap=True,
        )
