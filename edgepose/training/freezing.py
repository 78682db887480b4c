"""Training without a backbone's early blocks, which keep what they were given.

What is not trained is not differentiated, and early blocks hold the largest maps: a step is 1.5 to 2 times
as fast. Only weights that were learnt elsewhere (`--init`) are worth keeping.
"""

from __future__ import annotations

import re
from typing import Any

from edgepose.errors import UsageError

_BLOCK = re.compile(r"block(\d+)[a-z]_")  # of EfficientNet's layers; see `backbones.efficientnet`


def freeze_blocks(model: Any, blocks: int) -> int:
    """Freeze the stem and the first blocks of every EfficientNet of a network, batch statistics included.

    Args:
        model: a Keras network of `build_model`.
        blocks: how many blocks beside the stem; 0 for the stem alone.

    Returns:
        how many layers were frozen.

    Raises:
        UsageError: the network has no such blocks, or not so many.
    """
    numbers = {layer: found for layer in model.layers if (found := _block(layer.name)) is not None}
    last = max(numbers.values(), default=0)
    if not 0 <= blocks <= last:
        raise UsageError(
            f"{blocks} blocks cannot be frozen: the network has {last or 'none'}",
            f"give 0 to {last}" if last else "leave --freeze-blocks out",
        )
    frozen = [layer for layer, number in numbers.items() if number <= blocks]
    for layer in frozen:
        layer.trainable = False
    return len(frozen)


def _block(layer: str) -> int | None:
    """The number of the block that a layer belongs to, 0 for the stem, None for what follows."""
    if layer.startswith("stem_"):
        return 0
    found = _BLOCK.match(layer)
    return int(found[1]) if found else None
