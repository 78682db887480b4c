"""A warning about models whose keypoints depend on the processor."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgepose.cli import options


def warn_of_rounding(path: Path) -> None:
    """Say which operators of a .tflite round otherwise on Arm than on x86; a checkpoint has none."""
    if path.suffix != ".tflite":
        return
    from export.rounding import SCALED, processor_dependent, without_halves

    data = path.read_bytes()
    found = processor_dependent(data)
    if not found:
        return
    kinds = ", ".join(f"{count} {op}" for op, count in Counter(each.op for each in found).most_common())
    hint = "score it where it will run, by `edgepose evaluate --target`"
    if any(each.op not in SCALED for each in found):
        hint = f"export it with recipe weights-int8, which computes in float, or {hint}"
    elif len(processor_dependent(without_halves(data))) < len(found):  # an older version made it
        hint = f"export it again with this version, which finds other scales, or {hint}"
    options.say(
        f"warning: {path.name} gives other keypoints on other processors: {kinds} round otherwise there, "
        f"such as {found[0].tensor or 'without a name'} ({found[0].why}); {hint}"
    )
