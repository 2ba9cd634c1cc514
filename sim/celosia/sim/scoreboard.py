"""Compare what a stream carried with what it should have carried."""

from collections.abc import Callable, Sequence

Decode = Callable[[int], object]


class Scoreboard:
    """Checks the beats of one stream, in order, against those expected.

    Parameters
    ----------
    name : str
        The stream, for messages.
    expected : sequence of int
        Payloads in order.
    decode : callable, optional
        Turns a payload into what a message should show, for example its fields
        (`celosia.sim.packing.fields_of`); hexadecimal if left out.
    """

    def __init__(self, name: str, expected: Sequence[int], decode: Decode = hex) -> None:
        self._name = name
        self._expected = expected
        self._decode = decode
        self._seen = 0

    def observe(self, beat: int) -> None:
        """Take the next beat.

        Raises
        ------
        AssertionError
            If it isn't the one expected; shows its index and both sides.
        """
        index, total = self._seen, len(self._expected)
        if index == total:
            raise AssertionError(
                f"{self._name}: got {self._decode(beat)} after all {total} beats expected"
            )
        if beat != self._expected[index]:
            raise AssertionError(
                f"{self._name}: beat {index} of {total} is {self._decode(beat)}, "
                f"expected {self._decode(self._expected[index])}"
            )
        self._seen += 1
