"""The models and data sets that a command is to take, found by what the user typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from edgepose.cli.options import Given, say
from edgepose.cli.progress import bar


def model_to_run(name: str | Path) -> Path:
    """`model_path`; says on stderr when it is the export of default weights, for want of TensorFlow."""
    from edgepose.models.pretrained import checkpoint_path, model_path

    path = model_path(name)
    if path != checkpoint_path(name):
        typer.echo(
            f"{name}: {path.name}, as TensorFlow, which runs its checkpoint, is not installed", err=True
        )
    return path


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
