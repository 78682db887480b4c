"""`edgepose paper`: the paper's experiments, its figures beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepose.cli import options
from edgepose.cli.progress import bar


def command(
    experiment: Annotated[
        str,
        typer.Argument(
            help="The experiment: table1, table2, table3, table5, table6, fig4 or fig5.", metavar="EXPERIMENT"
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="The folder that gets a folder EXPERIMENT; experiments of one OUT share trained networks."
        ),
    ],
    scale: Annotated[
        str,
        typer.Option(
            help="How much is spent: miniature takes minutes on two cores, short a tenth of the paper's "
            "training, full is the paper's protocol, for a GPU."
        ),
    ] = "miniature",
    data: Annotated[
        str | None,
        typer.Option(
            help="The data set, FORMAT:PATH: In-Motion Poses, for table6 MINI-RGBD; default: made-up "
            "infants, except at --scale full."
        ),
    ] = None,
    train_data: Annotated[
        str | None,
        typer.Option(help="The data set to train on, where it is not the training split of --data."),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            help="A network: KEY=CHECKPOINT or KEY=default:KEY is trained already, KEY is trained here. May "
            "be repeated; default: the networks of the scale."
        ),
    ] = None,
    init: Annotated[
        list[str] | None,
        typer.Option(
            help="The checkpoint that a network's training starts from, KEY=CHECKPOINT, as the paper started "
            "from MPII. May be repeated."
        ),
    ] = None,
    raters: Annotated[
        Path | None,
        typer.Option(
            help="The spread of human raters: a raters' file, or the human.json of `edgepose raters`; "
            "default: the published spread."
        ),
    ] = None,
    workers: options.Workers = 2,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """Rerun one of the paper's tables or figures: its printed figures beside ours.

    Writes OUT/EXPERIMENT/results.json, report.md, report.html and a figure. Cut off, the same command goes on
    where it was: a network that is trained is not trained again.
    """
    from edgepose.paper.request import PaperRequest, ProgressReporter, init_paths, named_paths
    from edgepose.paper.run import run

    request = PaperRequest(
        experiment=experiment,
        out=out,
        scale=scale,
        data=data,
        train_data=train_data,
        networks=named_paths(models or (), "--models"),
        init=init_paths(init or ()),
        raters=raters,
        workers=workers,
        seed=seed,
        overwrite=overwrite,
    )
    request.check()
    try:
        with bar(f"{experiment}, {scale}", "frames or steps") as progress:
            outcome, report = run(
                request, ProgressReporter(lambda text: typer.echo(text, err=True), progress)
            )
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on where it was", err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo((report.with_name("results.json")).read_text(encoding="utf-8"), nl=False)
        return
    typer.echo(f"{outcome.title}. Ours are at scale {outcome.scale}: {outcome.scale_means}.")
    typer.echo(report)
