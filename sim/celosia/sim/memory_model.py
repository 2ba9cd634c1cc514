"""A memory behind a block's read port, for benches of blocks that read."""

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from celosia.golden.isa import ADDRESS_BITS
from celosia.sim.block_bench import BlockBench
from celosia.sim.stalls import Stall

_HELD = 2


class MemoryModel:
    """Answers the requests of the DUT's `MemoryReadSignature` port, in order.

    Without stalls it behaves as `VectorMemory` does for a client that nobody outranks: an answer is
    offered in the cycle after its request, and a request is refused while two answers wait.
    Stalls refuse further requests and delay answers. It checks that the DUT holds its requests.

    Parameters
    ----------
    bench : BlockBench
        The running bench; stalls are drawn from its generator.
    dut : handle
        The DUT.
    prefix : str
        Name of the port.
    read : callable
        The vector at an address, as the payload's integer; asked when a request is granted.
    request_stall, response_stall : Stall
        When to refuse a request, and when to hold back an answer.

    Attributes
    ----------
    addresses : list of int
        The requests granted so far.
    """

    def __init__(
        self,
        bench: BlockBench,
        dut: Any,
        prefix: str,
        read: Callable[[int], int],
        *,
        request_stall: Stall = Stall.NEVER,
        response_stall: Stall = Stall.NEVER,
    ) -> None:
        self.addresses: list[int] = []
        self._prefix = prefix
        self._read = read
        self._edge = RisingEdge(bench.clk)
        self._rng: random.Random = bench.rng
        self._request_stalls = request_stall.cycles(bench.rng)
        self._response_stalls = response_stall.cycles(bench.rng)
        self._request = [getattr(dut, f"{prefix}__request__{p}") for p in _STREAM]
        self._response = [getattr(dut, f"{prefix}__response__{p}") for p in _STREAM]
        tag_bits = len(self._request[0]) - ADDRESS_BITS
        self._vector_bits = len(self._response[0]) - tag_bits
        self._waiting: deque[int] = deque()
        self._held: int | None = None
        self._is_ready = self._offering = False
        self._request[2].value = 0
        self._response[1].value = 0
        cocotb.start_soon(self._serve())

    def forget(self) -> None:
        """Forget the requests that have no answer yet: the DUT is being reset."""
        self._waiting.clear()
        self._held = None
        self._offering = False
        self._response[1].value = 0

    async def _serve(self) -> None:
        request_payload, request_valid, request_ready = self._request
        payload, valid, ready = self._response
        width = len(payload)
        while True:
            await self._edge
            if self._offering and ready.value:
                self._waiting.popleft()
                self._offering = False
            if request_valid.value:
                self._take(request_payload.value.to_unsigned())
            elif self._held is not None:
                raise AssertionError(f"{self._prefix}: a request was dropped before it was granted")
            self._is_ready = len(self._waiting) < _HELD and not next(self._request_stalls)
            self._offering = bool(self._waiting) and (
                self._offering or not next(self._response_stalls)
            )
            request_ready.value = self._is_ready
            valid.value = self._offering
            payload.value = self._waiting[0] if self._offering else self._rng.getrandbits(width)

    def _take(self, request: int) -> None:
        if self._held is not None and request != self._held:
            raise AssertionError(
                f"{self._prefix}: request changed from {self._held:#x} to {request:#x} "
                "before it was granted"
            )
        self._held = None if self._is_ready else request
        if self._is_ready:
            address = request % (1 << ADDRESS_BITS)
            self.addresses.append(address)
            self._waiting.append(
                self._read(address) | (request >> ADDRESS_BITS) << self._vector_bits
            )


_STREAM = ("payload", "valid", "ready")
