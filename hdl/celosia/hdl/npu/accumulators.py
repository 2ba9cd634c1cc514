"""The accumulators: where the sums of a chunk's passes come together."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from celosia.hdl.npu.interfaces import SEMAPHORES, AccumulateJob, MemoryReadSignature, vector

__all__ = ["Accumulators"]

SUM_BITS = 32
HALVES = 2
ENGINES = ("array", "depthwise", "crossbar")
UPDATE_CYCLES = 4
"""From taking a sum until a read sees the new value."""


class Accumulators(wiring.Component):
    """Adds the sums of each pass to a memory of ``depth`` vectors of ``columns`` int32.

    The memory is two halves of ``depth / 2`` vectors, each with a read and a write port of its own,
    so that one is drained while the other is filled. For each job the next rows * columns beats of
    ``sums`` are added to, or with ``overwrite`` replace, the vectors from ``base`` on. Sums wrap
    at 32 bits.

    Throughput: a sum every cycle, without a gap between jobs, and a read every cycle. Latency: the
    memory holds the new value 4 cycles after its sum was taken; ``signal`` pulses in that cycle for
    the last sum of a job, and a read that is requested then, or later, sees it. A read's vector is
    offered 2 cycles after its request, out of a register; 1 cycle in the compact form.

    Adding to a vector takes 4 cycles, and the passes of fewer than 4 sums come back to it sooner
    if the engine lets them: such a sum waits until the one before it at its address is in the
    memory. Only jobs over the same vectors as the job before them are guarded so; any other must
    ``overwrite``.

    Back-pressure: ``sums.ready`` is high while a job is present, but for cycles in which a sum
    waits as above, and for the cycle after one in which a vector of the same half was asked for or
    waited for the reader; it is a register. ``read.request.ready`` is low in a cycle in which a
    sum is taken for the same half.

    Reset forgets the job and sums under way; the memory keeps its contents.

    Parameters
    ----------
    columns : int
        C, lanes of a vector.
    depth : int
        Vectors in both halves, even, at least 4.
    tag : int or shape-like
        Shape of the reader's tag.
    compact : bool
        Adds behind the memory within the cycle, for slow clocks, and keeps a copy of all sums for
        the reader: fewer registers and multiplexers. Up to as many vectors as a
        block RAM has words it takes no more of them.

    Members
    -------
    jobs : In(stream.Signature(AccumulateJob))
        One for each pass, at the latest with its first sum; ``base`` and the sums after it must
        stay below ``depth``, and within a half.
    sums : In(stream.Signature(vector(columns, 32)))
        From the engine that computes them.
    depthwise, crossbar : Out(1)
        Which one that is for the job at hand, as the job says; from registers.
    array_ready, depthwise_ready, crossbar_ready : Out(1)
        ``sums.ready`` for that engine alone, each from a register of its own.
    signal : Out(7)
        Set of semaphores that go up in this cycle.
    read : In(MemoryReadSignature(vector(columns, 32), tag))
        For whoever drains; addresses must be below ``depth``. A vector that is read while sums for
        it are under way may have any value.
    busy : Out(1)
        A job is present, or its end has not been signalled.
    """

    jobs: stream.Interface
    sums: stream.Interface
    depthwise: Signal
    crossbar: Signal
    signal: Signal
    read: wiring.PureInterface
    busy: Signal

    def __init__(self, *, columns, depth, tag=0, compact=False):
        if not isinstance(depth, int) or depth < 4 or depth % 2:
            raise ValueError(
                f"accumulator depth must be an even integer of at least 4, not {depth!r}"
            )
        self.columns = columns
        self.depth = depth
        self.compact = compact
        super().__init__(
            {
                "jobs": In(stream.Signature(AccumulateJob)),
                "sums": In(stream.Signature(vector(columns, SUM_BITS))),
                "depthwise": Out(1),
                "crossbar": Out(1),
                **{f"{engine}_ready": Out(1) for engine in ENGINES},
                "signal": Out(SEMAPHORES),
                "read": In(MemoryReadSignature(vector(columns, SUM_BITS), tag)),
                "busy": Out(1),
            }
        )

    # A sum moves through four stages, which never stall:
    #   0 taken; its half's read port gets the address
    #   1 the old value is at the read port
    #   2 the old value is in a register
    #   3 the new value is in a register, and written at the end of this cycle
    # In the compact form the new value is written at the end of stage 1; still nobody looks before
    # the fourth cycle.

    def elaborate(self, platform):
        m = Module()
        half_depth = self.depth // 2
        offset_bits = ceil_log2(half_depth)
        lanes = vector(self.columns, SUM_BITS)

        def bank(name, depth):
            """A memory's ports. What is read while it is written is never used: no logic for it."""
            m.submodules[name] = storage = memory.Memory(
                shape=unsigned(lanes.size), depth=depth, init=[], attrs={"no_rw_check": 1}
            )
            return storage.read_port(), storage.write_port()

        def locate(address):
            """Half of an address, and its offset there."""
            if half_depth == 1 << offset_bits:  # synthesis would compare by a carry chain
                return address[offset_bits:].any(), address[:offset_bits]
            half = address >= half_depth
            return half, Mux(half, address - half_depth, address)[:offset_bits]

        # The job in hand.
        present = Signal()
        half = Signal()
        offset = Signal(offset_bits)
        # Counts beyond the memory's depth are of no job.
        columns_left, rows_left, job_columns = (
            Signal(min(AccumulateJob["rows"].shape.width, self.depth.bit_length()), name=name)
            for name in ("columns_left", "rows_left", "job_columns")
        )
        overwrite = Signal()
        job_signal = Signal(SEMAPHORES)

        # With P sums to a job the vector was last added to P sums ago: too recently if as many were
        # taken in the last three cycles. From 4 on (`distance` stays there) that can't be. `recent`
        # is what the next cycle looks back on.
        distance = Signal(range(UPDATE_CYCLES + 1))
        recent = Signal(range(UPDATE_CYCLES))

        take = Signal()
        last_column = Signal()
        last = Signal()
        m.d.comb += [
            take.eq(self.sums.valid & self.sums.ready),
            last_column.eq(columns_left == 1),
            last.eq(last_column & (rows_left == 1)),
            self.jobs.ready.eq(~present | (take & last)),
        ]
        with m.If(take):
            m.d.sync += [offset.eq(offset + 1), columns_left.eq(columns_left - 1)]
            with m.If(last_column):
                m.d.sync += [columns_left.eq(job_columns), rows_left.eq(rows_left - 1)]
            with m.If(last):
                m.d.sync += present.eq(0)
        job = self.jobs.payload
        job_half, job_offset = locate(job.base)
        with m.If(self.jobs.valid & self.jobs.ready):
            m.d.sync += [
                present.eq(1),
                half.eq(job_half),
                offset.eq(job_offset),
                columns_left.eq(job.columns),
                rows_left.eq(job.rows),
                job_columns.eq(job.columns),
                distance.eq(_pixels(job)),
                overwrite.eq(job.overwrite),
                self.depthwise.eq(job.depthwise),
                self.crossbar.eq(job.crossbar),
                job_signal.eq(job.signal),
            ]

        # Reads: the vector stays at the half's read port until it is taken.
        request, response = self.read.request, self.read.response
        issue = Signal()
        reading_half = Signal()
        request_half, request_offset = locate(request.payload.address[: ceil_log2(self.depth)])
        conflict = take & (request_half == half)
        pending = Signal()
        tag = Signal.like(response.payload.tag, reset_less=True)
        answers = Signal()  # what stands at the port leaves it, if there is something
        m.d.comb += [
            request.ready.eq((~pending | answers) & ~conflict),
            issue.eq(request.valid & request.ready),
        ]
        if self.compact:
            m.d.comb += [
                response.valid.eq(pending),
                response.payload.tag.eq(tag),
                answers.eq(response.ready),
            ]
        else:
            m.d.comb += answers.eq(~response.valid | response.ready)
            with m.If(answers):
                m.d.sync += [response.valid.eq(pending), response.payload.tag.eq(tag)]
        with m.If(answers):
            m.d.sync += pending.eq(0)
        with m.If(issue):
            m.d.sync += [pending.eq(1), reading_half.eq(request_half), tag.eq(request.payload.tag)]

        # Whether a sum can be taken in the next cycle. A read that is asked for or waits counts as
        # one that needs its half then, whatever comes of it.
        needed = [
            (request.valid & (request_half == number)) | (pending & (reading_half == number))
            for number in range(HALVES)
        ]
        goes_on = present & ~(take & last) & (overwrite | (recent < distance))
        begins = self.jobs.valid & (job.overwrite | (recent < _pixels(job)))
        begins &= ~Mux(job_half, needed[1], needed[0])
        goes_on &= ~Mux(half, needed[1], needed[0])
        m.d.sync += self.sums.ready.eq(Mux(self.jobs.ready, begins, goes_on))
        for engine, of_job, of_next in zip(
            ENGINES,
            (~(self.depthwise | self.crossbar), self.depthwise, self.crossbar),
            (~(job.depthwise | job.crossbar), job.depthwise, job.crossbar),
            strict=True,
        ):
            ready = getattr(self, f"{engine}_ready")
            m.d.sync += ready.eq(Mux(self.jobs.ready, begins & of_next, goes_on & of_job))

        def stages(value, count, name, *, reset_less):
            """``value`` and its copies 1 to ``count`` cycles later."""
            copies = [value]
            for stage in range(1, count + 1):
                copy = Signal.like(value, name=f"{name}_{stage}", reset_less=reset_less)
                m.d.sync += copy.eq(copies[-1])
                copies.append(copy)
            return copies

        job_done = Signal(SEMAPHORES)
        with m.If(take & last):
            m.d.comb += job_done.eq(job_signal)
        taken = stages(take, UPDATE_CYCLES, "taken", reset_less=False)
        m.d.comb += recent.eq(sum(taken[: UPDATE_CYCLES - 1]))
        done = stages(job_done, UPDATE_CYCLES, "done", reset_less=False)
        registers, adding, writing = ("comb", 1, 1) if self.compact else ("sync", 2, 3)
        half_of = stages(half, writing, "half", reset_less=True)
        offset_of = stages(offset, writing, "offset", reset_less=True)
        replace = stages(overwrite, adding, "replace", reset_less=True)
        sums = stages(self.sums.payload, adding, "sums", reset_less=True)

        old = Signal(lanes, reset_less=True)
        new = Signal(lanes, reset_less=True)
        for c in range(self.columns):
            # A sum with a choice behind it fits the logic cells of iCE40, not one in front of it.
            added = sums[adding][c]
            m.d[registers] += new[c].eq(Mux(replace[adding], added, old[c] + added))
        if self.compact:
            # Two copies, one for each reader: nothing has to choose behind the memories.
            size = HALVES << offset_bits
            (adds, writes), (drains, copies) = bank("sums", size), bank("drained", size)
            m.d.comb += [
                adds.addr.eq(Cat(offset, half)),
                adds.en.eq(take),
                old.eq(adds.data),
                drains.addr.eq(Cat(request_offset, request_half)),
                drains.en.eq(issue),
                response.payload.vector.eq(drains.data),
            ]
            for port in (writes, copies):
                m.d.comb += [
                    port.addr.eq(Cat(offset_of[writing], half_of[writing])),
                    port.data.eq(new),
                    port.en.eq(taken[writing]),
                ]
        else:
            halves = [bank(f"half_{number}", half_depth) for number in range(HALVES)]
            at_port = Array(read_port.data for read_port, _ in halves)
            m.d.sync += old.eq(at_port[half_of[1]])
            read = Signal(lanes, reset_less=True)
            m.d.comb += response.payload.vector.eq(read)
            with m.If(answers):
                m.d.sync += read.eq(at_port[reading_half])
            for number, (read_port, write_port) in enumerate(halves):
                accumulate_here = take & (half == number)
                m.d.comb += [
                    read_port.addr.eq(Mux(accumulate_here, offset, request_offset)),
                    read_port.en.eq(accumulate_here | (issue & (request_half == number))),
                    write_port.addr.eq(offset_of[writing]),
                    write_port.data.eq(new),
                    write_port.en.eq(taken[writing] & (half_of[writing] == number)),
                ]
        m.d.comb += [
            self.signal.eq(done[-1]),
            self.busy.eq(present | Cat(taken[1:]).any()),
        ]
        return m


def _pixels(job):
    """Sums of a job, or 4 where there are more; a job with neither side 1 has at least 4."""

    def up_to_4(count):
        below = ceil_log2(UPDATE_CYCLES)  # no carry chain, as above
        return Mux(count[below:].any(), UPDATE_CYCLES, count[:below])

    return Mux(
        job.rows == 1,
        up_to_4(job.columns),
        Mux(job.columns == 1, up_to_4(job.rows), UPDATE_CYCLES),
    )
