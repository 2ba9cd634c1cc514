"""Which passes a crossbar tile takes: as many as its rows have room for."""

from celosia.compiler.layers import PassBox


def tile_boxes(shape: tuple[int, int, int], most: int) -> tuple[PassBox, ...]:
    """Boxes of at most `most` passes that cover all of [kernel y, kernel x, input vector].

    A box has whole rows of vectors, or whole rows of the kernel, as far as these fit; what is left
    over makes smaller ones.
    """
    size = [1, 1, 1]
    left = most
    for axis in (2, 1, 0):
        size[axis] = min(shape[axis], left)
        left //= size[axis]
        if size[axis] < shape[axis]:
            break
    return tuple(
        PassBox(
            first=(y, x, vector),
            size=(
                min(size[0], shape[0] - y),
                min(size[1], shape[1] - x),
                min(size[2], shape[2] - vector),
            ),
        )
        for y in range(0, shape[0], size[0])
        for x in range(0, shape[1], size[1])
        for vector in range(0, shape[2], size[2])
    )
