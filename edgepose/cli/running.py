"""The model that a command is to run, found by what the user typed."""

from __future__ import annotations

from pathlib import Path

import typer


def model_to_run(name: str | Path) -> Path:
    """`model_path`; says on stderr when it is the export of default weights, as TensorFlow is missing."""
    from edgepose.models.defaults import checkpoint_path, model_path

    path = model_path(name)
    if path != checkpoint_path(name):
        typer.echo(
            f"{name}: {path.name}, as TensorFlow, which runs its checkpoint, is not installed", err=True
        )
    return path
