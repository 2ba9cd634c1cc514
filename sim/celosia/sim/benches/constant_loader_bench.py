"""Bench of `celosia.hdl.npu.constant_loader.ConstantLoader` against a memory of known contents."""

from typing import Any

import cocotb

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import ADDRESS_BITS
from celosia.hdl.npu.constant_loader import LoadCommand
from celosia.hdl.npu.operand_tables import TABLE_ENTRIES
from celosia.sim.block_bench import BlockBench
from celosia.sim.memory_model import MemoryModel
from celosia.sim.packing import pack_fields
from celosia.sim.stalls import Stall

COMMANDS = 8
MODULUS = 1 << ADDRESS_BITS
ENTRY_BYTES = 4

Piece = tuple[object, ...]


class Traffic:
    """Random commands, the vectors that they read and the pieces that they hand on.

    A piece is ("plane", number, vector) or ("entry", table, number, value), then whether it is the
    command's last.
    """

    def __init__(self, bench: BlockBench) -> None:
        self._config = config_from_mapping(bench.parameters, default_name="bench")
        self._bytes = self._config.columns
        self._scramble = bench.rng.getrandbits(8 * self._bytes) | 1
        self.commands: list[int] = []
        self.addresses: list[int] = []
        self.pieces: list[Piece] = []
        for _ in range(COMMANDS):
            address = bench.rng.choice([bench.rng.randrange(MODULUS), MODULUS - 2])  # wraps
            is_table, table = bench.rng.getrandbits(1), bench.rng.getrandbits(1)
            planes = bench.rng.randint(1, self._config.parameter_vectors)
            command = {
                "address": address,
                "is_table": is_table,
                "table": table,
                "planes": planes,
            }
            self.commands.append(pack_fields(LoadCommand, command))
            if is_table:
                self._add_table(address, table)
            else:
                self._add_record(address, planes)

    def contents(self, address: int) -> int:
        """The weight memory: a different vector at every address."""
        return (address + 1) * self._scramble % (1 << 8 * self._bytes)

    def _vectors(self, address: int, count: int) -> list[int]:
        addresses = [(address + i) % MODULUS for i in range(count)]
        self.addresses += addresses
        return [self.contents(each) for each in addresses]

    def _add_record(self, address: int, count: int) -> None:
        for number, vector in enumerate(self._vectors(address, count)):
            self.pieces.append(("plane", number, vector, number == count - 1))

    def _add_table(self, address: int, table: int) -> None:
        per_vector = self._config.table_entries_per_vector
        words = b"".join(
            vector.to_bytes(self._bytes, "little")[: per_vector * ENTRY_BYTES]
            for vector in self._vectors(address, self._config.table_vectors)
        )
        for entry in range(TABLE_ENTRIES):
            value = int.from_bytes(words[entry * ENTRY_BYTES :][:ENTRY_BYTES], "little")
            self.pieces.append(("entry", table, entry, value, entry == TABLE_ENTRIES - 1))


class Monitor:
    """The pieces that the DUT hands on, and the cycles in which it does and takes commands."""

    def __init__(self, dut: Any, bench: BlockBench) -> None:
        self._dut, self._bench = dut, bench
        self.pieces: list[Piece] = []
        self.piece_cycles: list[int] = []
        self.command_cycles: list[int] = []
        self._watching = cocotb.start_soon(self._watch())

    def stop(self) -> None:
        """Look no more."""
        self._watching.cancel()

    async def _watch(self) -> None:
        dut = self._dut
        while True:
            await self._bench.cycles(1)
            done = bool(dut.done.value)
            pieces: list[Piece] = []
            if dut.plane_enable.value:
                vector = dut.vector.value.to_unsigned()
                pieces.append(("plane", dut.plane.value.to_unsigned(), vector, done))
            if dut.entry_enable.value:
                entry, value = dut.entry.value.to_unsigned(), dut.value.value.to_unsigned()
                pieces.append(("entry", int(dut.table.value), entry, value, done))
            assert len(pieces) <= 1, f"both at once: {pieces}"
            assert pieces or not done, "done without a piece"
            self.pieces += pieces
            self.piece_cycles += [self._bench.cycle] * len(pieces)
            if dut.commands__valid.value and dut.commands__ready.value:
                self.command_cycles.append(self._bench.cycle)

    async def check(self, expected: list[Piece]) -> None:
        """Wait for as many pieces as are expected, and then for more, and compare."""
        while len(self.pieces) < len(expected):
            await self._bench.cycles(1)
        await self._bench.cycles(20)
        for index, (got, due) in enumerate(zip(self.pieces, expected, strict=False)):
            assert got == due, f"piece {index} is {got}, expected {due}"
        assert len(self.pieces) == len(expected), "pieces beyond the last"


STALLS = [Stall.NEVER, Stall.HALF, Stall.BURSTS]


@cocotb.test()
@cocotb.parametrize(request_stall=STALLS, response_stall=STALLS)
async def pieces_are_those_stored(dut: Any, request_stall: Stall, response_stall: Stall) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    memory = MemoryModel(
        bench,
        dut,
        "read",
        traffic.contents,
        request_stall=request_stall,
        response_stall=response_stall,
    )
    monitor = Monitor(dut, bench)
    source = bench.source("commands", bench.rng.choice(list(Stall)))
    cocotb.start_soon(source.send(traffic.commands))
    await monitor.check(traffic.pieces)
    assert memory.addresses == traffic.addresses, "other vectors were read"


@cocotb.test()
async def a_piece_comes_every_cycle(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    MemoryModel(bench, dut, "read", traffic.contents)
    await bench.cycles(3)
    monitor = Monitor(dut, bench)
    cocotb.start_soon(bench.source("commands").send(traffic.commands))
    await monitor.check(traffic.pieces)
    # The request goes out in the cycle after the command, and its answer comes in the next.
    cycle, expected = monitor.command_cycles[0] + 2, []
    for *_, last in traffic.pieces:
        expected.append(cycle)
        cycle += 3 if last else 1  # the next command is taken in the cycle after the last
    assert monitor.piece_cycles == expected


@cocotb.test()
async def reset_forgets_the_command(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    memory = MemoryModel(bench, dut, "read", traffic.contents)
    source = bench.source("commands")
    for _ in range(20):
        task = cocotb.start_soon(source.send(traffic.commands))
        await bench.cycles(bench.rng.randrange(3, 300))
        task.cancel()
        await bench.reset()
        memory.forget()
        monitor = Monitor(dut, bench)
        await monitor.check([])
        monitor.stop()
    monitor = Monitor(dut, bench)
    cocotb.start_soon(source.send(traffic.commands))
    await monitor.check(traffic.pieces)
