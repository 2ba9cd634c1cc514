"""Bias, multiplier and exponent of the channels of one column tile."""

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.rounding import BIAS_PLANES
from celosia.hdl.npu.interfaces import vector

__all__ = ["ParameterRegisters", "parameters_layout"]


def parameters_layout(multiplier_bits: int) -> data.StructLayout:
    """Parameters of one channel."""
    return data.StructLayout(
        {"bias": signed(32), "multiplier": unsigned(multiplier_bits), "exponent": signed(8)}
    )


class ParameterRegisters(wiring.Component):
    """The record that LOAD_PARAMETERS reads, one plane of bytes at a time.

    A plane is there in the cycle after it was written. Writing the exponents clears the
    multipliers, whose planes follow: what a short record doesn't bring is zero. Reset leaves the
    values as they are.

    Parameters
    ----------
    config : NpuConfig
        Columns, and planes of a record.
    multiplier_bits : int
        Bits of the multiplier that are kept.

    Members
    -------
    write_enable : In(1)
        Write a plane.
    plane : In
        Planes from 0: bias (4), exponent (1), multiplier (all others).
    vector : In(C bytes)
        One byte for each column.
    parameters : Out(C x parameters_layout)
        All columns' parameters.
    """

    def __init__(self, config, *, multiplier_bits):
        self._config = config
        self._multiplier_bits = multiplier_bits
        super().__init__(
            {
                "write_enable": In(1),
                "plane": In(range(config.parameter_vectors)),
                "vector": In(vector(config.columns)),
                "parameters": Out(
                    data.ArrayLayout(parameters_layout(multiplier_bits), config.columns)
                ),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        planes = [
            Signal(vector(config.columns), name=f"plane_{number}", reset_less=True)
            for number in range(config.parameter_vectors)
        ]
        with m.If(self.write_enable):
            with m.Switch(self.plane):
                for number, plane in enumerate(planes):
                    with m.Case(number):
                        m.d.sync += plane.eq(self.vector)
                        if number == BIAS_PLANES:
                            m.d.sync += [each.eq(0) for each in planes[BIAS_PLANES + 1 :]]
        for column in range(config.columns):
            of_column = [plane[column] for plane in planes]
            parameters = self.parameters[column]
            m.d.comb += [
                parameters.bias.eq(Cat(of_column[:BIAS_PLANES])),
                parameters.exponent.eq(of_column[BIAS_PLANES]),
                parameters.multiplier.eq(Cat(of_column[BIAS_PLANES + 1 :])),
            ]
        return m
