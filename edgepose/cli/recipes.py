"""`edgepose recipes`: the run-cards of trainings, listed and run."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepose.cli.options import AsJson, print_json

app = typer.Typer(help="List the run-cards of trainings, or run one.", no_args_is_help=True)


@app.command("list")
def show(
    as_json: AsJson = False,
) -> None:
    """List run-cards: paper, command, hardware, hours and expected figures of each training."""
    from dataclasses import asdict

    from edgepose.training.recipes import TRAINING_RECIPES

    if as_json:
        print_json(list(TRAINING_RECIPES.values()))
        return
    for recipe in TRAINING_RECIPES.values():
        typer.echo(recipe.key)
        for name, value in list(asdict(recipe).items())[1:]:
            typer.echo(f"  {name:9} {value}")
        typer.echo("")


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="The run-card; `edgepose recipes` lists them.")],
    values: Annotated[
        list[str] | None,
        typer.Argument(
            help="WORD=VALUE for each word in capitals in the card's command, such as DATA=infants RUN=a.",
            metavar="[WORD=VALUE]...",
        ),
    ] = None,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the command instead of running it.")
    ] = False,
) -> None:
    """Run a card's command, with your values for its words in capitals."""
    import shlex

    from edgeio import lookup
    from edgepose.training.recipes import TRAINING_RECIPES

    words = lookup(TRAINING_RECIPES, "recipe", name).filled(values or ())
    typer.echo(shlex.join(words), err=not print_only)
    if print_only:
        return
    from edgepose.cli import app as whole

    whole(words[1:])
