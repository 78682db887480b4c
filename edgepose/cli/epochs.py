"""What a command that trains says: epochs and interruption on stderr, what it kept on stdout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from edgepose.cli.options import print_json


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Ctrl-C ends the command with exit code 130, and says how to go on with the run in `out`."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command goes on from {out}", err=True)
        raise typer.Exit(130) from None


@dataclass(frozen=True)
class Epochs:
    """The rows of the epochs that ended, each told as it comes."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, row: dict[str, Any]) -> None:
        """An epoch ended."""
        from edgepose.training.checkpoints import row_text

        self.rows.append(row)
        typer.echo(row_text(row), err=True)

    def print(self, kept: Path, as_json: bool) -> None:
        """The run ended with this checkpoint."""
        if as_json:
            print_json({"checkpoint": kept, "epochs": self.rows})
        else:
            typer.echo(str(kept))
