"""Instructions of a whole body, with the semaphores that order its units.

MATMUL or DEPTHWISE i of the program uses half i mod 2 of the accumulators: it waits for DRAIN
i - 2, and DRAIN i waits for it. Chunks of pixels are the outer loop, column tiles the inner one, so
that a layer's pixels are complete in the order in which the next layer reads them;
`celosia.compiler.dependencies` lets each of them wait for its pixels. Every semaphore is back at
zero when the program ends.
"""

from celosia.compiler.codegen.generate import Code, LayerCode, generate

__all__ = ["Code", "LayerCode", "generate"]
