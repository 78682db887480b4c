"""Training without a backbone's early blocks, which keep what they were given.

What is not trained is not differentiated, and early blocks hold the largest maps: with three blocks frozen a
step of RT is 1.2 and of B4 1.3 times as fast on a CPU (`benchmarks/cpu_step.py`). Only weights that were
learnt elsewhere (`--init`) are worth keeping.
"""

from __future__ import annotations

import re
from typing import Any

from edgepose.errors import UsageError
from edgepose.models.variants import Variant

_BLOCK = re.compile(r"block(\d+)[a-z]_")  # of EfficientNet's layers; see `backbones.efficientnet`


def check_blocks(chosen: Variant, blocks: int) -> None:
    """Raise UsageError where the network's backbone does not have so many blocks."""
    most = chosen.backbone_blocks
    if not 0 <= blocks <= most or not most:
        raise UsageError(
            f"{blocks} blocks of {chosen.key} cannot be frozen: its backbone has {most or 'none'}",
            f"give --freeze-blocks 0 to {most}" if most else "leave --freeze-blocks out",
        )


def freeze_blocks(model: Any, blocks: int) -> int:
    """Freeze the stem and the first blocks of every EfficientNet of a network, batch statistics included.

    Args:
        model: a Keras network of `build_model`.
        blocks: how many blocks beside the stem; 0 for the stem alone.

    Returns:
        how many layers were frozen.
    """
    numbers = ((layer, _block(layer.name)) for layer in model.layers)
    frozen = [layer for layer, number in numbers if number is not None and number <= blocks]
    for layer in frozen:
        layer.trainable = False
    return len(frozen)


def _block(layer: str) -> int | None:
    """The number of the block that a layer belongs to, 0 for the stem, None for what follows."""
    if layer.startswith("stem_"):
        return 0
    found = _BLOCK.match(layer)
    return int(found[1]) if found else None
