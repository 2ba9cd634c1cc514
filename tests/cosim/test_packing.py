"""Payload integers and what they carry."""

import numpy as np
import pytest
from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum

from celosia.sim.packing import fields_of, pack_fields, pack_vector, unpack_vector


class Kind(enum.Enum, shape=2):
    A = 1


class Pair(data.Struct):
    low: signed(4)
    high: unsigned(3)


LAYOUT = data.StructLayout(
    {"last": 1, "pair": Pair, "lanes": data.ArrayLayout(signed(8), 3), "kind": Kind}
)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64])
def test_vectors(dtype):
    limits = np.iinfo(dtype)
    values = np.array([limits.min, 0, 1, limits.max], dtype)
    payload = pack_vector(values, dtype)
    assert 0 <= payload < 1 << 4 * limits.bits
    assert payload & (1 << limits.bits) - 1 == limits.min % (1 << limits.bits)
    back = unpack_vector(payload, 4, dtype)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)


def test_vector_order():
    assert pack_vector([1, -1], np.int8) == 0xFF01


@pytest.mark.parametrize("values", [[128], [-129], [0.5]])
def test_vector_that_does_not_fit(values):
    with pytest.raises(ValueError, match=r"^\[.*\] doesn't fit int8$"):
        pack_vector(values, np.int8)


def test_fields():
    value = {"last": 1, "pair": {"low": -3, "high": 5}, "lanes": [-128, 0, 127], "kind": 1}
    payload = pack_fields(LAYOUT, value)
    assert payload == 1 | (13 | 5 << 4) << 1 | 0x7F0080 << 8 | 1 << 32
    assert fields_of(LAYOUT, payload) == value


def test_fields_agree_with_amaranth():
    value = {"last": 0, "pair": {"low": 7, "high": 2}, "lanes": [1, -2, 3]}
    constant = LAYOUT.const({**value, "kind": Kind.A})
    assert pack_fields(LAYOUT, {**value, "kind": 1}) == constant.as_bits()


def test_plain_shapes():
    assert pack_fields(signed(4), -1) == 15
    assert fields_of(signed(4), 15) == -1
    assert fields_of(8, 0x1FF) == 0xFF


@pytest.mark.parametrize(("shape", "value"), [(signed(4), 8), (signed(4), -9), (3, 8), (3, -1)])
def test_field_that_does_not_fit(shape, value):
    with pytest.raises(ValueError, match=rf"^{value} doesn't fit (un)?signed\(\d\)$"):
        pack_fields(shape, value)
