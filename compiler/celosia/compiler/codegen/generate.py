"""`generate`: the program of a body, layer by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from celosia.compiler.assembler import ImageBuilder
from celosia.compiler.codegen.depthwise import generate_depthwise
from celosia.compiler.codegen.emitter import Emitter
from celosia.compiler.codegen.matrix import generate_matrix
from celosia.compiler.codegen.post import generate_elementwise, generate_pool
from celosia.compiler.dependencies import order_stores
from celosia.compiler.layers import (
    AnyLayer,
    DepthwiseLayer,
    ElementwiseLayer,
    MatrixLayer,
    PoolLayer,
)
from celosia.compiler.names import short_name
from celosia.compiler.tiling import Tiling, tables_loaded_in, tile_layers
from celosia.golden.config import NpuConfig
from celosia.golden.errors import DoesNotFit
from celosia.golden.isa import Halt, Instruction, Semaphore


@dataclass(frozen=True)
class LayerCode:
    """A layer's instructions are `first` up to `end` (excluded); `cycles` is an estimate."""

    layer: AnyLayer
    first: int
    end: int
    cycles: int


@dataclass(frozen=True)
class Code:
    """The program of a body."""

    instructions: tuple[Instruction, ...]
    layers: tuple[LayerCode, ...]


def generate(
    layers: Sequence[AnyLayer],
    addresses: Mapping[int, int],
    config: NpuConfig,
    image: ImageBuilder,
) -> Code:
    """Instructions for layers whose tensors stand at `addresses`; constants go into `image`.

    Raises:
        DoesNotFit: a size exceeds a field of the instruction set; the message names the layer.
    """
    out = Emitter(addresses, config, image)
    codes = []
    tilings = tile_layers(layers, addresses, config)
    for index, (layer, tiling) in enumerate(zip(layers, tilings, strict=True)):
        first = len(out.instructions)
        try:
            _generate_layer(out, layer, tiling, tables_loaded_in(layers, index))
        except ValueError as error:
            raise DoesNotFit(
                f"operator {layer.operator} ({layer.kind.value}, output "
                f"'{short_name(layer.name)}') is too large for one instruction: {error}"
            ) from error
        out.change(out.last_post, mark=1)
        codes.append(LayerCode(layer, first, len(out.instructions), tiling.cycles))
    for position in out.drains[:-2]:
        out.signal(position, Semaphore.DRAINED)
    out.emit(Halt())
    ordered = order_stores(out.instructions, config)
    return Code(tuple(ordered), tuple(codes))


def _generate_layer(
    out: Emitter, layer: AnyLayer, tiling: Tiling, tables: ElementwiseLayer | None
) -> None:
    match layer:
        case MatrixLayer():
            generate_matrix(out, layer, tiling, tables)
        case DepthwiseLayer():
            generate_depthwise(out, layer, tiling, tables)
        case ElementwiseLayer():
            generate_elementwise(out, layer)
        case PoolLayer():
            generate_pool(out, layer)
