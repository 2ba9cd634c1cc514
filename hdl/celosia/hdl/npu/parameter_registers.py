"""Bias, multiplier and exponent of the channels of one column tile."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
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
    turn : int
        Columns that `turns` moves all parameters down by, around the end; 0 for never.

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
    turns : In(1)
        Move them, where ``turn`` isn't 0; not in the cycle of a write.
    """

    def __init__(self, config, *, multiplier_bits, turn=0):
        self._config = config
        self._multiplier_bits = multiplier_bits
        self._turn = turn
        members = {
            "write_enable": In(1),
            "plane": In(range(config.parameter_vectors)),
            "vector": In(vector(config.columns)),
            "parameters": Out(data.ArrayLayout(parameters_layout(multiplier_bits), config.columns)),
        }
        if turn:
            members["turns"] = In(1)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        config = self._config
        planes = [
            Signal(vector(config.columns), name=f"plane_{number}", reset_less=True)
            for number in range(config.parameter_vectors)
        ]
        for number, plane in enumerate(planes):
            written = self.write_enable & (self.plane == number)
            cleared = Const(0)
            if number > BIAS_PLANES:
                cleared = self.write_enable & (self.plane == BIAS_PLANES)
            if self._turn:
                # One condition around it all, as synthesis finds no enable in several.
                turned = plane.as_value().rotate_right(8 * self._turn)
                with m.If(written | cleared | self.turns):
                    m.d.sync += plane.eq(Mux(written, self.vector, Mux(cleared, 0, turned)))
            else:
                with m.If(written):
                    m.d.sync += plane.eq(self.vector)
                with m.Elif(cleared):
                    m.d.sync += plane.eq(0)
        for column in range(config.columns):
            of_column = [plane[column] for plane in planes]
            parameters = self.parameters[column]
            m.d.comb += [
                parameters.bias.eq(Cat(of_column[:BIAS_PLANES])),
                parameters.exponent.eq(of_column[BIAS_PLANES]),
                parameters.multiplier.eq(Cat(of_column[BIAS_PLANES + 1 :])),
            ]
        return m
