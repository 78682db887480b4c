"""What `train` and `distill` say of a run: its epochs on stderr, what it kept on stdout."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer


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
        import json

        if as_json:
            typer.echo(json.dumps({"checkpoint": str(kept), "epochs": self.rows}, indent=1))
        else:
            typer.echo(str(kept))
