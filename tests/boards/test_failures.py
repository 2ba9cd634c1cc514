# amaranth: UnusedElaboratable=no
"""What tools print when they fail, and the sentence that comes of it.

The logs are cut from runs of Yosys 0.70 and nextpnr 0.11.1 on designs made to fail.
"""

import pytest
from support.routed_designs import Design, Stage, route

from celosia.boards.failures import explain_failure

SMALLER = "choose a smaller configuration or a larger FPGA"

# 60 memories of 16 kbit on an iCE40UP5K.
ICE40_MEMORIES = """\
Info: Packing special functions..

Info: Device utilisation:
Info: \t         ICESTORM_LC:    3261/   5280    61%
Info: \t        ICESTORM_RAM:     240/     30   800%
Info: \t               SB_IO:       3/     39     7%
Info: \t        ICESTORM_DSP:       0/      8     0%

Info: Placed 0 cells based on constraints.
ERROR: Unable to place cell 'm43.0.1_RAM', no BELs remaining to implement cell type 'ICESTORM_RAM'
1 warning, 1 error
"""

# 60 such memories and 60 multipliers on a GW2A-18C: what is lacking isn't what the error names.
GOWIN_MEMORIES = """\
Info: Device utilisation:
Info: \t                 VCC:       1/      1   100%
Info: \t                LUT4:   21613/  20736   104%
Info: \t               BSRAM:      60/     46   130%
Info: \t             MULT9X9:       0/     96     0%

Info: Running custom HCLK placer...
Info: Placed 0 cells based on constraints.
ERROR: Unable to place cell 'm20.0.0', no BELs remaining to implement cell type 'DP'
0 warnings, 1 error
"""

# 80 enables, each of one flip-flop, on an iCE40LP384 of 48 tiles.
UNPLACEABLE = """\
Info: Device utilisation:
Info: \t         ICESTORM_LC:     192/    384    50%
Info: \t               SB_IO:       3/     21    14%

Info: Placed 0 cells based on constraints.
Info: Running main analytical placer, max placement attempts per cell = 10000.
ERROR: Unable to find legal placement for cell 'npu.q_SB_DFFE_Q_79_DFFLC' of type 'ICESTORM_LC' \
after 10001 attempts, check constraints and utilisation. Use \
`--placer-heap-cell-placement-timeout` to change the number of attempts.
1 warning, 1 error
"""

# A routed design with one of its wires taken away.
UNROUTABLE = """\
Info: Routing..
Info: Setting up routing queue.
ERROR: Assert `valid_wires_for_net.count(w)' failed in common/route/router1.cc:354.
ERROR: Routing design failed.
1 warning, 2 errors
"""

# nextpnr-ecp5 with 60 MB.
SHORT_OF_MEMORY = """\
Traceback (most recent call last):
  File "yowasp_runtime/__init__.py", line 151, in run_wasm
    raise exception # re-raise to preserve backtrace
wasmtime._trap.Trap: error while executing at wasm backtrace:
    0:   0x92a6 - <unknown>!<wasm function 53>

Caused by:
    thrown Wasm exception
"""

# Yosys on a shift register of 6,000 bits.
SHORT_OF_STACK = """\
   19: 0x8a5a8b - yosys.wasm!Yosys::TopoSort<Yosys::RTLIL::Cell*>::sort_worker(int)

Caused by:
    wasm trap: call stack exhausted
"""

# 28 multipliers in LUTs on an iCE40UP5K.
ICE40_LOGIC = """\
Info: Device utilisation:
Info: \t         ICESTORM_LC:    5409/   5280   102%
Info: \t        ICESTORM_RAM:       0/     30     0%

Info: Running main analytical placer, max placement attempts per cell = 3665278.
ERROR: Failed to expand region (0, 0) |_> (25, 31) of 5409 ICESTORM_LCs
4 warnings, 1 error
"""

# A PLL whose input pin has no place.
TWO_ERRORS = """\
Warning: IO 'clk12' is unconstrained in PCF and will be automatically placed
ERROR: PLL 'pll' PACKAGEPIN SB_IO 'clk12$sb_io' is unconstrained
ERROR: Packing design failed.
4 warnings, 2 errors
"""


@pytest.mark.parametrize(
    ("tool", "status", "output", "sentence"),
    [
        (
            "nextpnr-ice40",
            125,
            ICE40_MEMORIES,
            f"the design doesn't fit: it needs 240 ICESTORM_RAM of 30; {SMALLER}",
        ),
        (
            "nextpnr-ice40",
            125,
            ICE40_LOGIC,
            f"the design doesn't fit: it needs 5,409 ICESTORM_LC of 5,280; {SMALLER}",
        ),
        (
            "nextpnr-himbaechel",
            125,
            GOWIN_MEMORIES,
            f"the design doesn't fit: it needs 21,613 LUT4 of 20,736, 60 BSRAM of 46; {SMALLER}",
        ),
        (
            "nextpnr-himbaechel",
            125,
            GOWIN_MEMORIES[GOWIN_MEMORIES.index("Info: Running") :],
            f"the design doesn't fit: no DP is left; {SMALLER}",
        ),
        (
            "nextpnr-ice40",
            125,
            UNPLACEABLE,
            "nextpnr-ice40 finds no place for a cell of npu (q), though the FPGA has enough "
            f"elements of each kind: {SMALLER}, or try another seed",
        ),
        (
            "nextpnr-ecp5",
            125,
            "ERROR: Unable to find legal placement for all cells, design is probably at "
            "utilisation limit.\n",
            "nextpnr-ecp5 finds no place for all cells, though the FPGA has enough elements of "
            f"each kind: {SMALLER}, or try another seed",
        ),
        (
            "nextpnr-ecp5",
            125,
            "ERROR: failed to place chain starting at cell 'npu.sum_CCU2C_S0'\n",
            "nextpnr-ecp5 finds no place for a cell of npu (sum), though the FPGA has enough "
            f"elements of each kind: {SMALLER}, or try another seed",
        ),
        (
            "nextpnr-ice40",
            125,
            UNROUTABLE,
            f"nextpnr-ice40 finds no way to wire the design: {SMALLER}, or try another seed",
        ),
        (
            "nextpnr-ecp5",
            125,
            "ERROR: Failed to find a route for arc 3 of net npu.post.sum[3].\n",
            f"nextpnr-ecp5 finds no way to wire net npu.post.sum[3]: {SMALLER}, or try another "
            "seed",
        ),
        (
            "nextpnr-himbaechel",
            125,
            "ERROR: Failed to route net 'npu.clk' from X0Y6/F6 to X1Y1/CLK0 using dedicated "
            "routing.\n",
            f"nextpnr-himbaechel finds no way to wire net npu.clk: {SMALLER}, or try another seed",
        ),
        (
            "nextpnr-ecp5",
            1,
            "Info: Packing IOs..\n" + SHORT_OF_MEMORY,
            "nextpnr-ecp5 crashed without a reason, after 'Info: Packing IOs..': a tool in a "
            "Python package, which may use 4 GiB, does so when memory runs out; "
            f"{SMALLER}, or install a native nextpnr-ecp5",
        ),
        *(
            (
                "yosys",
                status,
                output,
                "yosys ran out of memory: end other programs, "
                f"{SMALLER}, or install a native yosys if this is the one of a Python package, "
                "which may use 4 GiB",
            )
            for status, output in (
                (-9, "3.12. Executing ABC9 pass.\n"),
                (137, ""),
                (134, "terminate called after throwing an instance of 'std::bad_alloc'\n"),
            )
        ),
        (
            "yosys",
            1,
            SHORT_OF_STACK,
            "yosys ran out of stack, which a tool in a Python package has little of: "
            f"{SMALLER}, or install a native one",
        ),
        (
            "nextpnr-ice40",
            125,
            TWO_ERRORS,
            "nextpnr-ice40 gave up: PLL 'pll' PACKAGEPIN SB_IO 'clk12$sb_io' is unconstrained",
        ),
        (
            "yosys",
            1,
            "design.v:7: ERROR: syntax error, unexpected ';'\n",
            "yosys gave up: syntax error, unexpected ';'",
        ),
        (
            "yosys",
            1,
            "3.12. Executing ABC9 pass.\n\n",
            "yosys broke off with status 1 and gave no reason, after '3.12. Executing ABC9 pass.'",
        ),
        ("yosys", 1, "", "yosys broke off with status 1 and gave no reason"),
    ],
)
def test_sentences(tool, status, output, sentence):
    assert explain_failure(tool, status, output) == sentence


def test_enough_memory_is_not_short_of_it():
    # The design's own names don't count as the tool's complaints.
    output = "Info: net 'npu.out of memory_port'\nERROR: Packing design failed.\n"
    assert explain_failure("nextpnr-ecp5", 125, output).startswith("nextpnr-ecp5 gave up: ")


@pytest.mark.parametrize(
    ("family", "multipliers", "lacking"),
    [("ecp5", 30, "30 MULT18X18D of 28"), ("gowin", 100, "100 MULT9X9 of 96")],
)
def test_design_that_does_not_fit(family, multipliers, lacking, tmp_path):
    run = route(family, tmp_path, Design(Stage(multipliers)), "--freq 25")
    assert run.status != 0
    assert not run.report.exists()
    sentence = f"the design doesn't fit: it needs {lacking}; {SMALLER}"
    for output in (run.log, run.output):
        assert explain_failure("nextpnr", run.status, output) == sentence
