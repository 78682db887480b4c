"""The models and data sets that a command is to take, found by what the user typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgepose.cli.options import Given, say
from edgepose.cli.progress import bar


def draw_built_in(data: Sequence[str], smoke: bool = False) -> list[str]:
    """What `--data` says, with the built-in sets among it drawn first; see `with_built_in`."""
    from edgepose.training.builtin import PREFIX, with_built_in

    if not any(text.startswith(PREFIX) for text in data):
        return list(data)
    with bar("drawing infants", "frames") as progress:
        return with_built_in(data, say, progress, smoke)


def runtime_threads(model: Path, given: Given) -> Path:
    """The model; raises UsageError where --threads was given and no TFLite runtime runs it."""
    if model.suffix == ".safetensors":
        given.refuse("threads", when="with a checkpoint, which Keras runs", hint="give a .tflite file")
    return model
