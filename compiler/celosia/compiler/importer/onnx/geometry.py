"""Sliding windows: kernel, stride, dilation and padding of convolutions and pools."""

from celosia.compiler.importer.onnx.context import NodeContext
from celosia.golden.graph import MAX_ELEMENTS
from celosia.golden.ops.matrix import Padding, Pair


def window_geometry(
    context: NodeContext,
    image: Pair,
    kernel: tuple[int, ...],
    rank: int,
    *,
    ceil_mode: bool = False,
) -> tuple[Pair, Pair, Pair, Padding, Pair]:
    """Window, stride, dilation, padding and output size, each for height and width.

    `kernel` has `rank` (1 or 2) sizes; a row of pixels has height 1.
    """
    given = context.numbers("kernel_shape", kernel)
    context.require(
        given == kernel, f"its kernel_shape must be that of its weights, {kernel}, not {given}"
    )
    ones, zeros = (1,) * rank, (0,) * rank
    window = _both(kernel)
    stride, dilation = (_both(context.pair(name, ones)) for name in ("strides", "dilations"))
    for role, pair in (("window", window), ("stride", stride), ("dilation", dilation)):
        context.require(
            min(pair) >= 1 and max(pair) <= MAX_ELEMENTS,
            f"its {role} must be at least 1 x 1, not {pair}",
        )
    auto = context.attribute("auto_pad", b"NOTSET")
    pads = context.pair("pads", zeros + zeros)
    befores, afters = _both(pads[:rank], 0), _both(pads[rank:], 0)
    context.require(
        min(*befores, *afters) >= 0 and max(*befores, *afters) <= MAX_ELEMENTS,
        f"its padding must not be negative, not {pads}",
    )
    padding, size = [], []
    for axis, length in enumerate(image):
        extent = (window[axis] - 1) * dilation[axis] + 1
        before, after = befores[axis], afters[axis]
        if auto in (b"SAME_UPPER", b"SAME_LOWER"):
            total = max((-(-length // stride[axis]) - 1) * stride[axis] + extent - length, 0)
            small, large = total // 2, total - total // 2
            before, after = (small, large) if auto == b"SAME_UPPER" else (large, small)
        elif auto == b"VALID":
            before = after = 0
        elif auto != b"NOTSET":
            context.fail("its auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER or VALID")
        span = length + before + after - extent
        context.require(
            span >= 0,
            f"its window of {extent} must fit into its padded input of {length + before + after}",
        )
        count = span // stride[axis] + 1
        # One more window that starts inside the image or the padding before it.
        if ceil_mode and span % stride[axis] and count * stride[axis] < length + before:
            after += stride[axis] - span % stride[axis]
            count += 1
        padding.append((before, after))
        size.append(count)
    return window, stride, dilation, (padding[0], padding[1]), (size[0], size[1])


def _both(sizes: tuple[int, ...], height: int = 1) -> Pair:
    return (sizes[0], sizes[1]) if len(sizes) == 2 else (height, sizes[0])
