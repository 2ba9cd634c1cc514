# amaranth: UnusedElaboratable=no
"""The cycle model's constants are those of the gateware that has them as figures."""

from dataclasses import replace

from celosia.golden.config import PRESETS
from celosia.golden.timing import depthwise, load, matrix, post, sums
from celosia.hdl.npu import accumulators
from celosia.hdl.npu.broadcast_array import BroadcastArray
from celosia.hdl.npu.depthwise_engine import READ_CYCLES
from celosia.hdl.npu.depthwise_products import PIPELINE_CYCLES
from celosia.hdl.npu.lane_feed import LaneFeed
from celosia.hdl.npu.requantizer import Requantizer
from celosia.hdl.npu.serial_drain import SerialDrain
from celosia.hdl.npu.serial_requantizer import SerialRequantizer
from celosia.hdl.npu.sum_feed import SumFeed
from celosia.hdl.npu.systolic_array import SystolicArray


def test_latencies():
    for config in PRESETS.values():
        array = SystolicArray(rows=config.rows, columns=config.columns)
        assert matrix.array_latency(config) == array.latency
        requantizer = Requantizer(lanes=config.requantizer_lanes, modes=config.modes)
        assert post.requantizer_latency(config) == requantizer.latency
        for bits in (4, 8, 16):
            small = replace(config, requantizer_bits=bits, profiles=("tflm",))
            serial = SerialRequantizer(lanes=1, modes=small.modes, bits=bits)
            assert post.requantizer_latency(small) == serial.latency
        for kept, feed in ((True, LaneFeed), (False, SumFeed)):
            assert post.feed_latency(replace(config, vector_operations=kept)) == feed.LATENCY
        assert config.rows > load.VECTORS_AHEAD
    small = replace(
        PRESETS["npu4x4"],
        requantizer_bits=1,
        requantizer_lanes=1,
        profiles=("tflm",),
        vector_operations=False,
    )
    assert matrix.array_latency(small) == BroadcastArray.latency
    tail = post.feed_latency(small) + post.requantizer_latency(small) + post.STORE_CYCLES
    assert small.requantizer_cycles - 1 + tail == SerialDrain.LATENCY
    assert sums.UPDATE_CYCLES == accumulators.UPDATE_CYCLES
    assert depthwise.SUM_CYCLES == READ_CYCLES + PIPELINE_CYCLES
