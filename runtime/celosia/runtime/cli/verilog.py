"""`celosia verilog`: the NPU as one Verilog file."""

from pathlib import Path
from typing import Annotated

import typer

from celosia.runtime.cli.options import Config, Json, Verbose
from celosia.runtime.cli.output import print_json, results


def verilog(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.v", help="File to write.")
    ],
    config: Config = "npu8x8",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write the NPU's Verilog.

    The same configuration always gives the same bytes. The module is `celosia_npu`; its host bus
    is described in docs/memory-map.md.
    """
    from celosia.golden.config import load_config
    from celosia.golden.files import write_atomically
    from celosia.sim.npu_simulation import NPU_TOP, npu_verilog

    npu = load_config(config)
    text = npu_verilog(npu)
    write_atomically(output, text.encode())
    if as_json:
        print_json({"file": str(output), "module": NPU_TOP, "config": npu.name, "bytes": len(text)})
    else:
        results.print(
            f"{output}: module {NPU_TOP} for {npu.name}, {len(text):,} bytes",
            markup=False,
            soft_wrap=True,
        )
