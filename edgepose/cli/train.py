"""`edgepose train`: fit a network to labelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepose.cli.progress import bar


def command(
    model: Annotated[str, typer.Option(help="The network; `edgepose models` lists them.")],
    data: Annotated[str, typer.Option(help="The data set: FORMAT:PATH, or a path whose layout is known.")],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    init: Annotated[Path | None, typer.Option(help="A checkpoint to start from.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    validation_split: Annotated[str, typer.Option(help="Split to validate on, or none.")] = "val",
    keypoints: Annotated[
        str | None, typer.Option(help="The network's keypoint set; default: the data set's.")
    ] = None,
    near: Annotated[
        bool, typer.Option("--near", help="Also take keypoints of slightly different definitions.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Train although the data lacks some of the keypoints.")
    ] = False,
    crop: Annotated[
        str, typer.Option(help="none: the whole image; person: the labelled keypoints plus --margin.")
    ] = "none",
    margin: Annotated[
        float, typer.Option(min=0.0, max=2.0, help="Share of the person box added on each side.")
    ] = 0.2,
    limit: Annotated[int | None, typer.Option(min=1, help="Train on the first so many frames.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Input in pixels; default: the network's.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 100,
    steps_per_epoch: Annotated[
        int | None, typer.Option(min=1, help="Default: one pass over the data.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Frames a step; small ones hurt precision.")] = 16,
    accumulate: Annotated[int, typer.Option(min=1, help="Parts of a batch, where memory is short.")] = 1,
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 1e-3,
    schedule: Annotated[
        str, typer.Option(help="Of the learning rate: constant, cosine or step.")
    ] = "constant",
    sigma: Annotated[
        str | None, typer.Option(help="Schedule of the targets' sigma; default: the network's.")
    ] = None,
    centre: Annotated[
        str, typer.Option(help="Of the targets: continuous, or integer as in the authors' framework.")
    ] = "continuous",
    augmentation: Annotated[str, typer.Option(help="paper, paper-colour or none.")] = "paper",
    precision: Annotated[
        str, typer.Option(help="auto (mixed on a GPU), float32, mixed_float16 or mixed_bfloat16.")
    ] = "auto",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps that a kill can cost.")] = 500,
    memory: Annotated[
        float, typer.Option(min=0.0, help="GiB for decoded frames; more are decoded in every pass.")
    ] = 4.0,
    workers: Annotated[int, typer.Option(min=1, help="Threads that decode images.")] = 2,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Log for TensorBoard too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a network, by the paper's protocol unless told otherwise.

    Writes OUT/best.safetensors (by PCKh@0.1 on the validation split), OUT/last.safetensors and
    OUT/log.csv. Ctrl-C saves the last step; the same command with --resume goes on from it and ends with
    the same weights as a run that was not interrupted.
    """
    from edgepose.training.fit import fit
    from edgepose.training.loop import Listener
    from edgepose.training.material import DataRequest
    from edgepose.training.request import FitRequest

    request = FitRequest(
        model=model,
        data=DataRequest(data, split, validation_split, keypoints, near, partial, crop, margin, limit),
        out=out,
        init=init,
        resolution=resolution,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        batch=batch,
        accumulate=accumulate,
        learning_rate=learning_rate,
        learning_rate_schedule=schedule,
        sigma_schedule=sigma,
        centre=centre,
        augmentation=augmentation,
        precision=precision,
        seed=seed,
        checkpoint_every=checkpoint_every,
        memory_gib=memory,
        workers=workers,
        tensorboard=tensorboard,
        resume=resume,
    )
    rows: list[dict[str, float | int | None]] = []

    def tell(row: dict[str, float | int | None]) -> None:
        rows.append(row)
        typer.echo(", ".join(f"{name} {_text(value)}" for name, value in row.items()), err=True)

    try:
        with bar(f"training {model}", "frames, then steps") as progress:
            kept = fit(request, Listener(progress, tell, lambda text: typer.echo(text, err=True)))
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command with --resume goes on from {out}", err=True)
        raise typer.Exit(130) from None
    _print(kept, rows, as_json)


def _print(kept: Path, rows: list[dict[str, float | int | None]], as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps({"checkpoint": str(kept), "epochs": rows}, indent=1))
    else:
        typer.echo(str(kept))


def _text(value: float | int | None) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
