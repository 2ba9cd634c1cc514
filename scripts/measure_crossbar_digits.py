"""Held-out digits on crossbar tiles: how many are right, by mapping of weights, device and
converters. Ranges fit, and columns are as they are, not calibrated."""

from dataclasses import replace

import numpy as np

from celosia.compiler.crossbar import default_crossbar
from celosia.golden.config import PRESETS
from celosia.golden.crossbar.config import WeightMapping
from celosia.golden.crossbar.devices.load import load_device
from celosia.runtime.crossbar.accuracy import Conditions, Remedies
from celosia.runtime.crossbar.subjects import Subject, samples_for
from celosia.runtime.session import EMBEDDED, open_model

SEEDS = range(1, 6)
TILES = 64
SAMPLES = 200
CASES = [("ideal", bits) for bits in (5, 6, 7, 8)] + [("hfox-neurram", 8)]


def main() -> None:
    graph, _ = open_model(EMBEDDED)
    samples = samples_for(EMBEDDED, graph, SAMPLES, None, None)
    npu = PRESETS["npu8x8"]
    networks = {}
    for mapping in WeightMapping:
        tiles = replace(default_crossbar(npu, {"mapping": mapping}), tiles=TILES)
        networks[mapping] = Subject(graph, samples, (), replace(npu, crossbar=tiles)).network()
    print(f"{len(samples)} digits, {len(SEEDS)} seeds: % right, mean and standard deviation")
    print(f"| device, bits of converters | {' | '.join(networks)} |\n|---|--:|--:|")
    for name, bits in CASES:
        conditions = Conditions(device=load_device(name), adc_bits=bits)
        seeds = SEEDS if name != "ideal" else SEEDS[:1]  # nothing is drawn
        cells = []
        for network in networks.values():
            right = [100 * network.accuracy(conditions, Remedies(), seed) for seed in seeds]
            cells.append(f"{np.mean(right):.1f} ± {np.std(right):.1f}")
        print(f"| {name}, {bits} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
