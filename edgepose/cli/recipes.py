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

    from edgepose.training.recipes import RECIPES

    if as_json:
        typer.echo(json.dumps([asdict(recipe) for recipe in RECIPES.values()], indent=1))
        return
    for recipe in RECIPES.values():
        typer.echo(recipe.key)
        for name, value in list(asdict(recipe).items())[1:]:
            typer.echo(f"  {name:9} {value}")
        typer.echo("")
