"""The instruction set: encoding, decoding, listing."""

import random
import re

import pytest

from celosia.golden import isa


def random_instruction(rng: random.Random, kind: type[isa.Instruction]) -> isa.Instruction:
    values = {
        item.name: rng.choice([*item.bits.limits, rng.randint(*item.bits.limits)])
        for item in kind.layout()
        if item.name != "opcode"
    }
    return kind(**values)


@pytest.mark.parametrize("kind", isa.INSTRUCTIONS, ids=isa.mnemonic)
def test_decode_gives_back_what_was_encoded(kind: type[isa.Instruction]) -> None:
    seed = 1
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(200):
        instruction = random_instruction(rng, kind)
        assert isa.decode(instruction.encode()) == instruction


def test_fields_do_not_overlap_and_fit_the_word() -> None:
    for kind in isa.INSTRUCTIONS:
        used = 0
        for item in kind.layout():
            field = ((1 << item.bits.width) - 1) << item.offset
            assert not used & field, (kind, item)
            used |= field
        assert used < 1 << isa.INSTRUCTION_BITS


def test_opcodes_are_different_and_name_their_unit() -> None:
    assert len({kind.opcode for kind in isa.INSTRUCTIONS}) == len(isa.INSTRUCTIONS)
    assert isa.Matmul.unit() is isa.Unit.MATRIX
    assert isa.Halt.unit() is isa.Unit.SEQUENCER


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^LoadWeights\.tiles must be 0 to 65535, not 65536$"):
        isa.LoadWeights(address=0, tiles=65536).encode()


def test_an_unknown_opcode_is_refused() -> None:
    message = "opcode must be one of the instruction set's, not 0xff"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        isa.decode(0xFF)


def test_listing_names_operands_semaphores_and_mark() -> None:
    drain = isa.Drain(
        accumulator=128,
        output=7,
        rows=2,
        columns=32,
        vectors=1,
        wait=isa.Semaphore.ACCUMULATED,
        signal=isa.Semaphore.DRAINED | isa.Semaphore.STORED,
        mark=1,
    )
    assert str(drain).split() == [
        "DRAIN",
        "wait=ACCUMULATED",
        "signal=DRAINED|STORED",
        "mark",
        "accumulator=128",
        "output=7",
        "rows=2",
        "columns=32",
        "vectors=1",
        "slice=0",
        "uniform=0",
    ]
