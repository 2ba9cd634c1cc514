"""How far modelled cycles may be from counted ones."""

from celosia.golden.memory_map import Counter

SHARE, LEAST = 0.02, 4
"""Of a layer's cycles 2 %, or 4 where those are fewer."""


def assert_layers_modelled(program, report):
    """Each layer's cycles in a report of the RTL are those of the cycle model, within the limit.

    Prints the worst layer.
    """
    modelled = program.modelled.layers(len(program.layers))
    worst = 0
    for layer, spent in zip(report.layers, modelled, strict=True):
        if layer.cycles is None:  # beyond what the NPU keeps
            continue
        off = spent[Counter.CYCLES] - layer.cycles
        where = (
            f"{layer.op} '{layer.name}': {spent[Counter.CYCLES]} modelled, {layer.cycles} in RTL"
        )
        assert abs(off) <= max(SHARE * layer.cycles, LEAST), where
        if abs(off) >= abs(worst):
            worst, text = off, where
    print(f"worst layer of {program.name} on {program.config.name}: {text}")


def assert_counters_modelled(program, counters, only=tuple(Counter)):
    """The counters of a whole run in RTL are those of the cycle model, each within the limit."""
    modelled = program.modelled.counters
    limit = max(SHARE * counters[Counter.CYCLES], LEAST)
    for counter in only:
        off = modelled[counter] - counters[counter]
        assert abs(off) <= limit, (
            f"{counter.name}: {modelled[counter]} modelled, {counters[counter]} in RTL"
        )
