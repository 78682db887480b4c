"""`edgepose recipes`: the run-cards of trainings."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Plain JSON on stdout.")] = False,
) -> None:
    """List run-cards: paper, command, hardware, hours and expected figures of each training."""
    import json
    from dataclasses import asdict

    from edgepose.training.recipes import TRAINING_RECIPES

    if as_json:
        typer.echo(json.dumps([asdict(recipe) for recipe in TRAINING_RECIPES.values()], indent=1))
        return
    for recipe in TRAINING_RECIPES.values():
        typer.echo(recipe.key)
        for name, value in list(asdict(recipe).items())[1:]:
            typer.echo(f"  {name:9} {value}")
        typer.echo("")
