"""Held-out digits on crossbar tiles: how many are right, by mapping, device, front end and seed.

python scripts/measure_crossbar_digits.py [COUNT [DEVICE ...]]
"""

import sys
from io import BytesIO

import numpy as np

from celosia.golden.crossbar.config import WeightMapping
from celosia.runtime.models import embedded_data
from celosia.runtime.session import Placement, open_session

SEEDS = (1, 2, 3)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with np.load(BytesIO(embedded_data("digits_heldout.npz"))) as data:
        images, labels = data["x"][:count], data["y"][:count]
    print(f"right of {count}, seeds {SEEDS}")
    for device in sys.argv[2:] or ["ideal", "hfox-neurram"]:
        for front_end in ("emulator", "physics"):
            for mapping in WeightMapping:
                right, cells, pulses = [], 0, 0
                for seed in SEEDS:
                    placement = Placement(
                        "crossbar", (), device, front_end, seed, mapping=str(mapping)
                    )
                    session = open_session("digits", "npu8x8", None, placement=placement)
                    session.open("golden")
                    result = session.run([[image[None]] for image in images])
                    found = result.outputs[0].reshape(count, -1).argmax(axis=1)
                    right.append(int((found == labels).sum()))
                    report = result.report.crossbar
                    assert report is not None
                    cells, pulses = report.cells, pulses + report.pulses
                print(
                    f"{device}, {front_end}, {mapping}: {right} right, {cells} cells, "
                    f"{pulses / len(SEEDS):.0f} pulses",
                    flush=True,
                )


if __name__ == "__main__":
    main()
