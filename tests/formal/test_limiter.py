# amaranth: UnusedElaboratable=no
"""The safety rules of the front-end port, proved for the limiter under any inputs and resets."""

import pytest
from support.formal import check, skip_without_tools
from support.limiter_proof import CONFIG, LimiterProof
from support.mutants import mutated

from celosia.hdl.crossbar import limiter

#: Induction needs to see a longest pulse from its beginning.
DEPTH = CONFIG.max_width * CONFIG.unit_cycles + CONFIG.break_cycles + 4

MUTANTS = {
    "word_line_unchecked": ("LIMIT", ("(request.word_line <= config.max_word_line)", "(1 == 1)")),
    "line_unchecked": ("LIMIT", ("& (request.line <= config.max_line)", "")),
    "timer_and_watchdog_broken": (
        "WIDTH",
        ("with m.If(units == 1):", "with m.If(0):"),
        (" & ~overdue & ~Reset", " & ~Reset"),
    ),
    "width_and_watchdog_unchecked": (
        "WIDTH",
        ("& (request.width <= config.max_width)", ""),
        (" & ~overdue & ~Reset", " & ~Reset"),
    ),
    "mode_unchecked": ("TARGET", ("& _one_of(request.mode, WRITE_MODES)", "")),
    "tile_unchecked": ("TARGET", ("& (request.tile < config.tiles)", "")),
    "column_unchecked": ("TARGET", ("& (request.column < config.columns)", "")),
    "request_not_held": (
        "SELECTION",
        (
            "with m.If(phase == Phase.BIAS):",
            "m.d.sync += held.line.eq(request.line)\n        with m.If(0):",
        ),
    ),
    "no_break": ("BREAK", ("(rested == config.break_cycles)", "(rested == rested)")),
    "no_bias_before": ("INHIBIT", ("phase.eq(Phase.BIAS),", "phase.eq(Phase.PULSE),")),
    "no_bias_after": (
        "INHIBIT",
        ("port.inhibit.eq(writing)", "port.inhibit.eq(writing & (phase != Phase.HOLD))"),
    ),
    "interlock_ignored": ("CUT", ("self.abort | ~self.interlock |", "self.abort |")),
    "abort_ignored": ("CUT", ("self.abort | ~self.interlock |", "~self.interlock |")),
    "abort_late": ("CUT", ("(phase == Phase.PULSE) & ~cut &", "(phase == Phase.PULSE) &")),
    "reset_late": ("CUT", (" & ~ResetSignal()", "")),
    "read_goes_on_in_abort": (
        "CUT",
        ("with m.If(~reads.enable | self.abort)", "with m.If(~reads.enable)"),
    ),
    "codes_in_safe": (
        "SAFE",
        ("port.line.eq(held.line),\n", ""),
        (
            "            port.inhibit.eq(writing),",
            "port.inhibit.eq(writing), port.line.eq(held.line),",
        ),
    ),
    "reads_not_gated": (
        "STROBE",
        ("*(getattr(port, name).eq(getattr(reads, name)) for name in READ_STROBES),", ""),
        ("_PASSED_OUT = (", "_PASSED_OUT = (*READ_STROBES, "),
    ),
}


@pytest.fixture(autouse=True)
def _tools():
    skip_without_tools()


def test_no_input_breaks_a_rule(tmp_path):
    assert check(LimiterProof(), "prove", DEPTH, tmp_path) == ("PASS", [])


def test_what_is_proved_happens(tmp_path):
    assert check(LimiterProof(covers=True), "cover", 24, tmp_path) == ("PASS", [])


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_limiter_is_found(name, tmp_path):
    rule, *changes = MUTANTS[name]
    verdict, broken = check(LimiterProof(mutated(limiter, *changes).Limiter), "bmc", 16, tmp_path)
    assert verdict == "FAIL"
    assert rule in broken, broken


def test_the_watchdog_ends_what_the_timer_does_not(tmp_path):
    stuck = mutated(limiter, ("with m.If(units == 1):", "with m.If(0):")).Limiter
    assert check(LimiterProof(stuck), "prove", DEPTH, tmp_path) == ("PASS", [])


def test_a_cover_that_is_out_of_reach_is_told(tmp_path):
    verdict, unreached = check(LimiterProof(covers=True), "cover", 3, tmp_path)
    assert verdict == "FAIL"
    assert "longest" in unreached
