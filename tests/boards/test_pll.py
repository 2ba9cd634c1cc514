"""PLLs: brute force finds nothing better, and the tools of others agree."""

import itertools
import random
import re
import shutil
import subprocess
from fractions import Fraction

import numpy as np
import pytest
from support.installed import PATH

from celosia.boards.load import BOARDS, board_from_mapping, load_board
from celosia.boards.pll import ecp5, gowin, ice40, pll_settings
from celosia.golden.errors import CelosiaError

SEED = 20261128


def pairs(count, inputs, low, high):
    """Oscillators and wanted frequencies: round ones, and ones that no PLL makes exactly."""
    draw = random.Random(SEED)
    print(f"seed {SEED}")
    for _ in range(count):
        wanted = draw.choice([draw.randint(low, high), round(draw.uniform(low, high), 3)])
        yield draw.choice(inputs), wanted


def least_error(references, multiples, divisors, source, wanted, *, detector, vco, output):
    """The smallest error, as a fraction of the wanted frequency, of all settings in the limits.

    In floating point, over every combination; limits get a margin of one part in 10^9.
    """
    r, n, m = np.meshgrid(references, multiples, divisors, indexing="ij")
    pfd, oscillator = source / r, source / r * n
    made = oscillator / m
    good = np.ones(r.shape, bool)
    for values, (low, high) in ((pfd, detector), (oscillator, vco), (made, output)):
        good &= (values >= low * (1 - 1e-9)) & (values <= high * (1 + 1e-9))
    if not good.any():
        return np.inf
    return np.abs(made[good] - wanted).min() / wanted


def check(settings, source, wanted, least):
    """The settings that were found are as good as the best there are; else there is a sentence."""
    if least > 0.01:
        with pytest.raises(CelosiaError, match=r"^frequency_mhz must be one that the PLL can make"):
            settings(source, wanted)
        return
    found = settings(source, wanted)
    assert abs(float(found.output_mhz) - wanted) / wanted <= least + 1e-9, (source, wanted)


ECP5 = {"detector": (10, 400), "vco": (400, 800), "output": (3.125, 400)}
ICE40 = {"detector": (10, 133), "vco": (533, 1066), "output": (16, 275)}
GOWIN = {
    "GW1NR-9C": {"detector": (3, 400), "vco": (400, 1200), "output": (3.125, 600)},
    "GW2AR-18C": {"detector": (3, 500), "vco": (500, 1250), "output": (3.90625, 625)},
}


def test_ecp5_against_brute_force():
    divisors = np.arange(1, 129)
    for source, wanted in pairs(60, (12, 25, 27, 30, 48, 50, 100, 12.288), 4, 390):
        least = least_error(np.arange(1, 41), divisors, divisors, source, wanted, **ECP5)
        check(lambda i, o: ecp5.settings(i, o, "LFE5U-25F"), source, wanted, least)


def test_ice40_against_brute_force():
    for source, wanted in pairs(120, (12, 16, 25, 48, 100, 14.318), 10, 275):
        least = least_error(
            np.arange(1, 17), np.arange(1, 129), 2 ** np.arange(1, 7), source, wanted, **ICE40
        )
        check(lambda i, o: ice40.settings(i, o, "iCE40UP5K"), source, wanted, least)
        # With twice the frequency beside it.
        within = {**ICE40, "output": (16, 137.5)}
        least = least_error(
            np.arange(1, 17), np.arange(1, 129), 2 ** np.arange(2, 8), source, wanted, **within
        )
        check(ice40.doubled_settings, source, wanted, least)


@pytest.mark.parametrize("device", GOWIN)
def test_gowin_against_brute_force(device):
    within = GOWIN[device]
    for source, wanted in pairs(60, (12, 24, 27, 50, 74.25), 4, 500):
        # Here the VCO is a multiple of the output, so the output needs its own loop.
        least = np.inf
        r, n = np.meshgrid(np.arange(1, 65), np.arange(1, 65), indexing="ij")
        made = source * n / r
        for divider in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
            good = np.ones(r.shape, bool)
            for values, key in (
                (source / r, "detector"),
                (made * divider, "vco"),
                (made, "output"),
            ):
                low, high = within[key]
                good &= (values >= low * (1 - 1e-9)) & (values <= high * (1 + 1e-9))
            if good.any():
                least = min(least, np.abs(made[good] - wanted).min() / wanted)
        check(lambda i, o: gowin.settings(i, o, device), source, wanted, least)


@pytest.mark.parametrize("family", [ecp5, ice40, gowin])
def test_the_dividers_give_the_frequencies_that_are_promised(family):
    device = "GW2AR-18C"
    allowed = family.LIMITS[device] if family is gowin else family.LIMITS
    for source, wanted in itertools.product((12, 25, 48), (18, 30, 60, 90, 105)):
        found = family.settings(source, wanted, device)
        d = found.dividers
        if family is ecp5:
            detector = Fraction(source, d["CLKI_DIV"])
            vco = detector * d["CLKOP_DIV"]
            output = vco / d["CLKOS_DIV"]
        elif family is ice40:
            detector = Fraction(source, d["DIVR"] + 1)
            vco = detector * (d["DIVF"] + 1)
            output = vco / 2 ** d["DIVQ"]
        else:
            detector = Fraction(source, d["IDIV_SEL"] + 1)
            output = detector * (d["FBDIV_SEL"] + 1)
            vco = output * d["ODIV_SEL"]
        assert (found.detector_mhz, found.vco_mhz, found.output_mhz) == (detector, vco, output)
        assert found.within(allowed)
        assert not found.doubled


def test_a_doubled_pll_is_one_of_twice_the_frequency():
    for source, wanted in itertools.product((12, 25, 48), (18, 30, 60, 90, 105)):
        found = ice40.doubled_settings(source, wanted)
        twice = ice40.settings(source, 2 * wanted, "iCE40UP5K")
        assert found.doubled
        assert (found.dividers, found.vco_mhz) == (twice.dividers, twice.vco_mhz)
        assert 2 * found.output_mhz == twice.output_mhz


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_gets_its_frequency_exactly(name):
    board = load_board(name)
    if board.device.large_rams:
        assert pll_settings(board, doubled=True).output_mhz == board.frequency_mhz
    found = pll_settings(board)
    if found is None:
        assert board.frequency_mhz == board.clock.mhz
    else:
        assert (found.input_mhz, found.output_mhz) == (board.clock.mhz, board.frequency_mhz)


def test_frequencies_out_of_reach_are_refused():
    board = board_from_mapping({"base": "icebreaker", "frequency_mhz": 14}, default_name="slow")
    with pytest.raises(
        CelosiaError,
        match=r"^frequency_mhz must be one that the PLL can make from 12 MHz, from 16 to 275, "
        r"not 14; the nearest is 16.125 MHz$",
    ):
        pll_settings(board)
    own = board_from_mapping({"base": "icebreaker", "frequency_mhz": 12}, default_name="own")
    assert pll_settings(own) is None
    with pytest.raises(CelosiaError, match=r"from 12 MHz, from 16 to 137.5, not 12; the nearest"):
        pll_settings(own, doubled=True)
    fast = board_from_mapping(
        {"base": "ulx3s-85f", "frequency_mhz": 40, "clock": {"mhz": 5}}, default_name="fast"
    )
    with pytest.raises(CelosiaError, match=r"from 5 MHz, from 3.125 to 400, not 40$"):
        pll_settings(fast)


def output_of(*names, arguments):
    """What a referee prints; the test skips where none of its names is installed."""
    tool = next(filter(None, (shutil.which(name, path=PATH) for name in names)), None)
    if tool is None:
        pytest.skip(f"{names[0]} isn't installed; pip install 'celosia[boards]' has it")
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=False).stdout


def number(pattern, text):
    return float(re.search(pattern, text)[1])


@pytest.mark.parametrize(
    ("source", "wanted"), [(25, 60), (25, 83.5), (48, 80), (100, 95), (12, 50)]
)
def test_ecppll_agrees(source, wanted):
    arguments = ["-i", str(source), "-o", str(wanted), "--highres"]
    printed = output_of("ecppll", "yowasp-ecppll", arguments=arguments)
    theirs = number(r"clkout1 frequency: ([\d.]+)", printed)
    found = ecp5.settings(source, wanted, "LFE5U-25F")
    # They have slower phase detectors in their search (below the data sheet's 10 MHz), we have not.
    slow = number(r"Refclk divisor: (\d+)", printed) * 10 > source
    ours = abs(float(found.output_mhz) - wanted)
    assert slow or ours <= abs(theirs - wanted) + 1e-3
    # Their own dividers, in our formula, give what they say.
    n = number(r"clkout0 divisor: (\d+)", printed) * number(r"Feedback divisor: (\d+)", printed)
    vco = source / number(r"Refclk divisor: (\d+)", printed) * n
    assert vco / number(r"clkout1 divisor: (\d+)", printed) == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize(("source", "wanted"), [(12, 18), (12, 20.5), (12, 48), (48, 33), (25, 97)])
def test_icepll_agrees(source, wanted):
    printed = output_of("icepll", "yowasp-icepll", arguments=["-i", str(source), "-o", str(wanted)])
    found = ice40.settings(source, wanted, "iCE40UP5K")
    theirs = number(r"F_PLLOUT: +([\d.]+) MHz \(achieved\)", printed)
    assert float(found.output_mhz) == pytest.approx(theirs, abs=6e-4)
    assert found.dividers["FILTER_RANGE"] == ice40.filter_range(found.detector_mhz)
    detector = number(r"F_PFD: +([\d.]+)", printed)
    assert ice40.filter_range(detector) == number(r"FILTER_RANGE: (\d)", printed)
    if found.detector_mhz == detector:
        for name in ("DIVR", "DIVF", "DIVQ"):
            assert found.dividers[name] == number(rf"{name}: +(\d+)", printed)


@pytest.mark.parametrize("device", GOWIN)
@pytest.mark.parametrize("wanted", [30, 40.5, 45, 54, 71])
def test_gowin_pll_agrees(device, wanted):
    name = {"GW1NR-9C": "GW1NR-9 C6/I5", "GW2AR-18C": "GW2AR-18 C8/I7"}[device]
    printed = output_of("gowin_pll", arguments=["-i", "27", "-o", str(wanted), "-d", name])
    theirs = number(r"CLKOUT = ([\d.]+) MHz", printed)
    found = gowin.settings(27, wanted, device)
    assert float(found.output_mhz) == pytest.approx(theirs, rel=1e-9)
