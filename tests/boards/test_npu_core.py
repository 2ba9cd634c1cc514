"""The NPU's core: what the host starts shows in the lights' states."""

from dataclasses import replace

from amaranth.sim import Simulator

from celosia.boards.npu_core import NpuCore
from celosia.golden.config import PRESETS
from celosia.golden.link.commands import Reply, Request
from celosia.golden.link.frames import Frame, decode_frame, encode_frame
from celosia.golden.memory_map import REGION_SHIFT, Control, Region, Register

SMALL = replace(PRESETS["npu4x4"], scratchpad_kib=1, weight_kib=1, depthwise_taps=0)


def test_a_program_that_is_none_lights_busy_and_error():
    dut = NpuCore(SMALL, bytes(32))
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    states = []

    async def send(ctx, sequence, command, body):
        for byte in encode_frame(Frame(sequence, command, body)):
            await ctx.tick().until(dut.rx.ready)
            ctx.set(dut.rx.payload, byte)
            ctx.set(dut.rx.valid, 1)
            await ctx.tick()
            ctx.set(dut.rx.valid, 0)
        answer = bytearray()
        ctx.set(dut.tx.ready, 1)
        while True:
            *_, valid, byte, busy, error = await ctx.tick().sample(
                dut.tx.valid, dut.tx.payload, dut.busy, dut.error
            )
            states.append((busy, error))
            if valid and byte == 0:
                return decode_frame(bytes(answer))
            if valid:
                answer.append(byte)

    async def bench(ctx):
        answer = await send(ctx, 0, Request.CONNECT, b"abcd")
        assert answer.command == Reply.IDENTITY
        assert set(states) == {(0, 0)}
        program = (Region.WEIGHTS << REGION_SHIFT).to_bytes(4, "little") + b"\xff" * 32
        assert (await send(ctx, 1, Request.WRITE, program)).command == Reply.DONE
        assert set(states) == {(0, 0)}
        control = int(Register.CONTROL).to_bytes(4, "little")
        start = control + int(Control.START).to_bytes(4, "little")
        assert (await send(ctx, 2, Request.WRITE, start)).command == Reply.DONE
        for _ in range(50):
            states.append((ctx.get(dut.busy), ctx.get(dut.error)))
            await ctx.tick()
        busy = states.index((1, 0))
        assert states[busy:].count((0, 0)) == 0  # it ends at an opcode that doesn't exist
        assert states[-1] == (0, 1)

    simulator.add_testbench(bench)
    simulator.run()
