"""`edgepose predict`: images and videos in, trajectories out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from edgepose.cli import options
from edgepose.cli.progress import bar
from edgepose.cli.running import runtime_threads

_SEVERAL = "Several inputs"
_SHOWN = 20  # inputs, and errors, that a terminal is told of one by one


@options.spread()
def command(
    inputs: Annotated[
        list[str],
        typer.Argument(help="Images, videos, and folders of them, on this machine.", metavar="INPUT..."),
    ],
    model: Annotated[
        Path,
        typer.Option(help=options.RUNNABLE),
    ],
    out: Annotated[Path, typer.Option(help="The folder for what is written.")] = Path("runs/predict"),
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also draw skeletons and trails on the input.")
    ] = False,
    smooth: Annotated[
        str,
        typer.Option(
            help="The filter of videos' trajectories: median:WINDOW, savgol:WINDOW,ORDER or none, in frames."
        ),
    ] = "median:5",
    crop: Annotated[
        str,
        typer.Option(
            help="The part of the picture to look at: none takes the whole, auto finds the infant and "
            "follows it, x,y,w,h gives a box in pixels."
        ),
    ] = "auto",
    turn: Annotated[
        str,
        typer.Option(
            help="By how many degrees pictures are turned clockwise: 0, 90, 180, 270, or auto, by which the "
            "network is surest, once a video."
        ),
    ] = "auto",
    format: Annotated[
        str,
        typer.Option(
            help="The format of the table: csv, coco, parquet (needs pyarrow), h5 (h5py), deeplabcut "
            "(pandas, tables), openpose (BODY_25) or nwb (ndx-pose)."
        ),
    ] = "csv",
    confidence: Annotated[
        Path | None, typer.Option(help="The file that `edgepose calibrate-confidence` made for this model.")
    ] = None,
    abstain_below: Annotated[
        float | None,
        typer.Option(
            help="Leave out keypoints that are less confident; default: 0.5 with --confidence, 0 without."
        ),
    ] = None,
    decode: options.Decode = None,
    flip: options.Flip = False,
    fps: Annotated[
        float | None,
        typer.Option(help="Frames a second of the videos; default: each file's own times.", metavar="RATE"),
    ] = None,
    stride: Annotated[
        int,
        typer.Option(
            help="From one predicted frame of the videos to the next: 1 is every frame, 2 every second; "
            "times stay true."
        ),
    ] = 1,
    sample_rate: Annotated[
        float | None,
        typer.Option(
            help="Predict so many frames a second of the videos, by the nearest --stride; default: all.",
            metavar="RATE",
        ),
    ] = None,
    threads: options.Threads = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many frames are predicted at once, each by an interpreter of its own; default: one "
            "a core.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many of several inputs are predicted at once, each in a process of its own; default: "
            "one a core, and one with a checkpoint.",
            rich_help_panel=_SEVERAL,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            help="After how many seconds without a frame one of several inputs is listed as failed.",
            rich_help_panel=_SEVERAL,
            metavar="SECONDS",
        ),
    ] = 300.0,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Try again what failed when the same command was given before.",
            rich_help_panel=_SEVERAL,
        ),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Predict part I of N of the inputs only, as one of N jobs on a cluster.",
            rich_help_panel=_SEVERAL,
            metavar="I/N",
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help=options.ENGINE, rich_help_panel=_SEVERAL)] = "local",
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    *,
    given: options.Given,
) -> None:
    """Predict keypoints: a table, a summary, a contact sheet and a figure for each input.

    Nothing leaves this machine, or those of --engine. Inputs that are finished are passed over when the same
    command is given again; one that was interrupted is begun anew. Several inputs are predicted at once, and
    OUT/archive.csv tells of each whether it is done, failed and why, or left.
    """

    from edgepose.engines import parse_engine
    from edgepose.models.pretrained import model_path
    from edgepose.tracking.archive import ArchiveRequest, Shard, parse_shard, predict_archive
    from edgepose.tracking.batch import PredictRequest, predict_all
    from edgepose.tracking.sources import find_sources

    request = PredictRequest(
        smooth=smooth,
        crop=crop,
        turn=turn,
        format=format,
        overlay=overlay,
        confidence=confidence,
        abstain_below=abstain_below,
        decode=decode,
        flip=flip,
        fps=fps,
        stride=stride,
        sample_rate=sample_rate,
        threads=threads,
        workers=workers,
    )
    part = Shard() if shard is None else parse_shard(shard)
    where = parse_engine(engine)
    sources = find_sources(inputs)
    is_archive = len(sources.found) > 1 or shard is not None
    if not is_archive:
        given.refuse(
            "processes", "timeout", "retry_failed", "engine", when="on one input", hint="name several"
        )
    kinds = {source.kind for source in sources.found}
    if kinds == {"images"}:
        given.refuse("smooth", when="on images, which have no trajectories", hint="name a video too")
    if kinds == {"video"} and model.suffix == ".safetensors":
        given.refuse("workers", when="on videos with a checkpoint", hint="give a .tflite file")
    path = runtime_threads(model_path(model), given)
    if is_archive:
        many = ArchiveRequest(processes, timeout, retry_failed, part, where)
        outcomes = predict_archive(path, sources.found, request, many, out, overwrite, _bar)
    else:
        outcomes = predict_all(path, sources.found, request, out, overwrite, _bar)
    if as_json:
        options.print_json([o.summary for o in outcomes if o.summary is not None])
    else:
        _print(outcomes, out)
        if is_archive:
            _print_counts(outcomes, out / part.table)
    if sources.ignored:
        first = sources.ignored[0].name
        typer.echo(f"neither image nor video: {len(sources.ignored)} files, the first: {first}", err=True)
    failed = [o.error for o in outcomes if o.error is not None]
    for error in failed[:_SHOWN]:
        typer.echo(f"error: {error}", err=True)
    if len(failed) > _SHOWN:
        typer.echo(f"error: {len(failed) - _SHOWN} more failed; {out / part.table} names them", err=True)
    if failed:
        raise typer.Exit(max(error.exit_code for error in failed))


def _print_counts(outcomes: list[Any], table: Path) -> None:
    from edgepose.tracking.archive import counts

    told = ", ".join(f"{count} {state}" for state, count in counts(outcomes).items())
    typer.echo(f"{table}: {told}")


def _print(outcomes: list[Any], out: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from edgepose.tracking.summary import lines

    done = [o for o in outcomes if o.summary is not None]
    if not done:
        return
    if len(done) > _SHOWN:
        typer.echo(f"{len(done)} inputs are done, {sum(o.before for o in done)} of them before")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("input", overflow="fold")
    for column in ("frames", "skipped", "confidence", "abstained", "frames/s"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for outcome in done:
        frames, speed = outcome.summary["frames"], outcome.summary["speed"]
        table.add_row(
            escape(outcome.summary["name"]),
            str(frames["predicted"]),
            str(len(outcome.summary["skipped"])),
            f"{frames['mean_confidence']:.2f}",
            f"{100 * frames['abstained_share']:.1f} %",
            f"{speed['frames_per_s']:.0f}",
            "done before" if outcome.before else "",
        )
    Console().print(table)
    for outcome in done:
        for line in lines(outcome.summary):
            typer.echo(line)
    typer.echo(f"{out}: {', '.join(n for o in done[:1] for n in o.summary['outputs'].values())}")


def _bar(title: str, unit: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """The common bar, which fills in how many frames a second it has seen."""
    from rich.markup import escape

    return bar(escape(title), f"{unit}, {{task.speed!s:.4}} a second")
