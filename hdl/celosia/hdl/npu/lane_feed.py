"""Cuts POST's vectors into the requantiser's beats and gives each lane its parameters."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from celosia.golden.config import NpuConfig
from celosia.golden.isa import ADDRESS_BITS, FACTOR_BITS
from celosia.hdl.npu.beat_cutter import BeatCutter, select
from celosia.hdl.npu.interfaces import vector
from celosia.hdl.npu.operand_tables import OperandTables, Terms
from celosia.hdl.npu.output_addresses import OutputAddress
from celosia.hdl.npu.parameter_registers import parameters_layout
from celosia.hdl.npu.piece_multiplier import PieceMultiplier
from celosia.hdl.npu.requantizer_steps import RequantizerInput
from celosia.hdl.npu.tap_reducer import SUM_BITS

__all__ = ["LaneFeed", "feed_tag"]


def feed_tag(config: NpuConfig) -> data.StructLayout:
    """What travels with a beat to the collector.

    `slice` says which slice of the lanes is written where C < R, `tile_slices` for all lanes.
    """
    return data.StructLayout(
        {
            "address": unsigned(ADDRESS_BITS),
            "slice": unsigned(config.tile_slices.bit_length() if config.tile_slices > 1 else 0),
            "vector_end": 1,
            "last": 1,
        }
    )


class LaneFeed(wiring.Component):
    """From vectors to beats of L lanes, each with bias, multiplier and exponent.

    A drained vector of C sums gives one scratchpad vector for each address up to its pixel's end:
    lane j of the v-th takes column v * R + j, or j mod C where C < R. A reduced vector gives one:
    its lanes are sums, or pairs of operand bytes that the tables turn into terms to add or factors
    to multiply.

    Throughput: a beat every cycle, R / L beats to a vector; with a requantiser that takes more
    cycles, a beat in as many, of which it waits the first in front of the stages. Latency:
    ``LATENCY``. Back-pressure: the three stages stop together while the output waits. Reset empties
    them.

    Parameters
    ----------
    config : NpuConfig
        Sizes.
    multiplier_bits : int
        Of the requantiser.
    family : Family, optional
        Of the FPGA, whose multiplier primitives are to be used.

    Members
    -------
    drained : In(stream of C int32)
        Accumulators; taken while not `reducing`.
    reduced : In(stream of R int32)
        Sums, maxima or pairs; taken while `reducing`.
    addresses : In(stream.Signature(OutputAddress))
        One for each scratchpad vector.
    draining, adding, multiplying : In(1)
        What the vectors are; one of them, or none for sums and maxima. They, and what follows, must
        not change while a beat is inside.
    reducing : In(1)
        Not `draining`, from a register of its own: the other's drives hundreds of multiplexers.
    parameters : In(C x parameters_layout)
        For drained vectors.
    scale : In(parameters_layout)
        For the others, in every lane.
    uniform : In(1)
        The vectors that enter have the multiplier and exponent of `scale`, drained or not. It may
        change from one vector to the next, and so may:
    slice : In
        Slice of the vectors that enter.
    table_enable, table, entry, value : In
        Writes of the tables (`OperandTables`).
    o : Out(stream.Signature(RequantizerInput))
        Beats.
    """

    LATENCY = 3

    def __init__(self, config, *, multiplier_bits, family=None):
        self._config = config
        self._family = family
        self._tag = feed_tag(config)
        parameters = parameters_layout(multiplier_bits)
        beat = RequantizerInput(
            lanes=config.requantizer_lanes, multiplier_bits=multiplier_bits, tag=self._tag
        )
        super().__init__(
            {
                "drained": In(stream.Signature(vector(config.columns, SUM_BITS))),
                "reduced": In(stream.Signature(vector(config.rows, SUM_BITS))),
                "addresses": In(stream.Signature(OutputAddress)),
                "draining": In(1),
                "reducing": In(1),
                "adding": In(1),
                "multiplying": In(1),
                "uniform": In(1),
                "parameters": In(data.ArrayLayout(parameters, config.columns)),
                "scale": In(parameters),
                "slice": In(self._tag["slice"].shape),
                "table_enable": In(1),
                "table": In(1),
                "entry": In(8),
                "value": In(32),
                "o": Out(stream.Signature(beat)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        lanes = config.requantizer_lanes
        groups = config.rows // lanes
        slots = groups * config.tile_vectors
        m.submodules.cutter = cutter = BeatCutter(config)
        group, slot, advance = cutter.group, cutter.slot, cutter.advance
        m.d.comb += [
            cutter.offered.eq(
                Mux(self.reducing, self.reduced.valid, self.drained.valid) & self.addresses.valid
            ),
            cutter.restarts.eq(self.addresses.payload.pixel_end | self.reducing),
            self.addresses.ready.eq(cutter.take & cutter.vector_end),
            self.reduced.ready.eq(self.addresses.ready & self.reducing),
            self.drained.ready.eq(
                self.addresses.ready & ~self.reducing & self.addresses.payload.pixel_end
            ),
        ]

        def chosen(number, source, count):
            return select(m, number, source, lanes=lanes, count=count)

        # First stage: the group's sums, while the tables look up its bytes.
        entering = Signal(vector(lanes, SUM_BITS))
        m.submodules.tables = tables = OperandTables(lanes=lanes)
        m.d.comb += [
            tables.enable.eq(advance),
            tables.operands.eq(
                Cat(value[:16] for value in chosen(group, self.reduced.payload, groups))
            ),
            tables.write_enable.eq(self.table_enable),
            tables.write_table.eq(self.table),
            tables.write_entry.eq(self.entry),
            tables.write_value.eq(self.value),
        ]
        with m.If(self.draining):
            m.d.comb += entering.eq(Cat(chosen(slot, self.drained.payload, slots)))
        with m.Else():
            m.d.comb += entering.eq(Cat(chosen(group, self.reduced.payload, groups)))
        sums = Signal.like(entering, reset_less=True)
        sums_slot = Signal.like(slot, reset_less=True)
        sums_uniform = Signal(reset_less=True)
        tag = Signal(self._tag, reset_less=True)
        full = Signal()
        with m.If(advance):
            m.d.sync += [
                full.eq(cutter.valid),
                sums.eq(entering),
                sums_slot.eq(slot),
                sums_uniform.eq(self.uniform),
                tag.address.eq(self.addresses.payload.address),
                tag.slice.eq(self.slice),
                tag.vector_end.eq(cutter.vector_end),
                tag.last.eq(self.addresses.payload.last),
            ]

        # Second stage: two terms, out of registers, since adders and multipliers would end the long
        # path through the tables' memory.
        terms = Signal(data.ArrayLayout(Terms, lanes), reset_less=True)
        terms_slot = Signal.like(slot, reset_less=True)
        terms_uniform = Signal(reset_less=True)
        terms_tag = Signal.like(tag, reset_less=True)
        looked_up = Signal()
        with m.If(advance):
            m.d.sync += [
                looked_up.eq(full),
                terms_slot.eq(sums_slot),
                terms_uniform.eq(sums_uniform),
                terms_tag.eq(tag),
            ]
            for lane in range(lanes):
                with m.If(self.adding | self.multiplying):
                    m.d.sync += terms[lane].eq(tables.terms[lane])
                with m.Else():
                    m.d.sync += [terms[lane][0].eq(sums[lane]), terms[lane][1].eq(0)]

        # Third stage: complete operands. A product has a register of its own, so that what chooses
        # it stands behind that and not behind the multiplier.
        products = []
        beat = Signal.like(self.o.payload, reset_less=True)
        beat_valid = Signal()
        parameters = chosen(terms_slot, self.parameters, slots)
        factor = Shape(FACTOR_BITS, signed=True)
        for lane in range(lanes):
            multiplier = PieceMultiplier(factor, factor, held=False, family=self._family)
            m.submodules[f"multiplier_{lane}"] = multiplier
            m.d.comb += [
                multiplier.enable.eq(advance),
                multiplier.a.eq(terms[lane][0][:FACTOR_BITS]),
                multiplier.b.eq(terms[lane][1][:FACTOR_BITS]),
            ]
            products.append(multiplier.product)
        with m.If(advance):
            m.d.sync += [beat_valid.eq(looked_up), beat.tag.eq(terms_tag)]
            for lane in range(lanes):
                own = data.View(self.scale.shape(), parameters[lane])
                m.d.sync += beat.lanes[lane].acc.eq(terms[lane][0] + terms[lane][1])
                m.d.sync += beat.lanes[lane].bias.eq(Mux(self.draining, own.bias, self.scale.bias))
                for name in ("multiplier", "exponent"):
                    m.d.sync += beat.lanes[lane][name].eq(
                        Mux(terms_uniform, self.scale[name], own[name])
                    )
        m.d.comb += [
            advance.eq(~beat_valid | self.o.ready),
            self.o.valid.eq(beat_valid),
            self.o.payload.eq(beat),
        ]
        with m.If(self.multiplying):
            m.d.comb += [self.o.payload.lanes[n].acc.eq(products[n]) for n in range(lanes)]
        return m
