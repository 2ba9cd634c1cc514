"""A serial port as the line to a board."""

import errno
from types import TracebackType
from typing import Self

import serial

from celosia.golden.errors import CelosiaError

DEFAULT_BAUD = 1_000_000


class SerialLine:
    """Bytes over a serial port or a pseudo-terminal, to be closed by ``with``.

    Parameters
    ----------
    port : str
        Name of the port, as the system has it.
    baud : int
        Bits a second.

    Raises
    ------
    CelosiaError
        The port can't be opened, or doesn't know the rate.
    """

    def __init__(self, port: str, baud: int = DEFAULT_BAUD) -> None:
        try:
            self._serial = serial.Serial(port, baud, timeout=0)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if getattr(error, "errno", None) == errno.EACCES:
                reason += "; celosia doctor tells how to be allowed to"
            raise CelosiaError(
                f"port must be that of a board, at a rate that it knows, and {port!r} at "
                f"{baud:,} baud can't be opened: {reason}"
            ) from error
        self._port = port

    def write(self, data: bytes) -> None:
        """Send bytes. Raises CelosiaError where the port has gone."""
        try:
            self._serial.write(data)
        except OSError as error:
            raise self._gone(error) from error

    def read(self, timeout_s: float) -> bytes:
        """Bytes that are there, at least one unless the time runs out first.

        Raises CelosiaError where the port has gone.
        """
        try:
            self._serial.timeout = max(timeout_s, 0)
            first: bytes = self._serial.read(1)
            rest: bytes = self._serial.read(self._serial.in_waiting) if first else b""
        except OSError as error:
            raise self._gone(error) from error
        return first + rest

    def _gone(self, error: OSError) -> CelosiaError:
        return CelosiaError(f"port {self._port!r} must stay open, and has gone: {error}")

    def close(self) -> None:
        """Give the port back."""
        self._serial.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
