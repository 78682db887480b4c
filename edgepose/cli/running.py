"""The model that a command is to run, found by what the user typed."""

from __future__ import annotations

from pathlib import Path

import typer

from edgepose.cli.options import Given


def model_to_run(name: str | Path) -> Path:
    """`model_path`; says on stderr when it is the export of default weights, for want of TensorFlow."""
    from edgepose.models.pretrained import checkpoint_path, model_path

    path = model_path(name)
    if path != checkpoint_path(name):
        typer.echo(
            f"{name}: {path.name}, as TensorFlow, which runs its checkpoint, is not installed", err=True
        )
    return path


def runtime_threads(model: Path, given: Given) -> Path:
    """The model; raises UsageError where --threads was given and no TFLite runtime runs it."""
    if model.suffix == ".safetensors":
        given.refuse("threads", when="with a checkpoint, which Keras runs", hint="give a .tflite file")
    return model
