"""`edgepose recipes`: the run-cards of trainings."""

from __future__ import annotations

import typer

from edgepose.cli.options import AsJson, print_json


def command(
    as_json: AsJson = False,
) -> None:
    """List run-cards: paper, command, hardware, hours and expected figures of each training."""
    from dataclasses import asdict

    from edgepose.training.recipes import RECIPES

    if as_json:
        print_json(list(RECIPES.values()))
        return
    for recipe in RECIPES.values():
        typer.echo(recipe.key)
        for name, value in list(asdict(recipe).items())[1:]:
            typer.echo(f"  {name:9} {value}")
        typer.echo("")
