"""`edgepose evaluate`: score models on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepose.cli import options
from edgepose.cli.progress import bar
from edgepose.cli.rounding import warn_of_rounding

if TYPE_CHECKING:
    from edgepose.results.device_facts import DeviceFacts
    from edgepose.results.results import Results


@options.spread()
def command(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Checkpoints (.safetensors), .tflite files, or what comes with edgepose: default:MODEL, "
            "default:MODEL-int8.",
            metavar="MODEL...",
        ),
    ],
    data: options.Data,
    out: Annotated[Path, typer.Option(help="Where each model gets a folder of its own.")] = Path(
        "runs/evaluate"
    ),
    split: Annotated[
        str, typer.Option(help="The split to score on: train, val, test, several as in val+test, or all.")
    ] = "test",
    crop: Annotated[
        str,
        typer.Option(
            help="none: the whole image; person: the labelled keypoints plus --margin; found: where the "
            "network itself finds the infant."
        ),
    ] = "none",
    margin: options.Margin = 0.2,
    turn: Annotated[
        str,
        typer.Option(
            help="none: as photographed; upright: the quarter turn that brings the labelled trunk head-up; "
            "found: the one that the network itself is surest of."
        ),
    ] = "none",
    ruler: options.Ruler = None,
    score: Annotated[
        str,
        typer.Option(
            help="Which keypoints are scored: all; limbs (shoulders, elbows, wrists, knees, ankles); or "
            "common (limbs, nose and ears, which other networks mark too)."
        ),
    ] = "all",
    decode: options.Decode = None,
    flip: options.Flip = False,
    target: Annotated[
        str,
        typer.Option(
            help="Where the model runs: desktop; emulated[:NAME], an `edgepose device`; android[:SERIAL]."
        ),
    ] = "desktop",
    delegate: Annotated[
        str, typer.Option(help="What runs the operators on a phone: xnnpack, none, gpu or nnapi.")
    ] = "xnnpack",
    keypoints: options.KeypointsOfData = None,
    near: options.Near = False,
    fallback: Annotated[
        str,
        typer.Option(
            help="What to do without a head length: exclude the image, or take the data set's median."
        ),
    ] = "exclude",
    human: Annotated[
        Path | None,
        typer.Option(
            help="The spread of human raters: a raters' file (CSV), or the human.json of `edgepose raters`."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Score only the first so many images.")] = None,
    threads: options.Threads = 1,
    workers: options.Workers = 2,
    seed: Annotated[int, typer.Option(help="The seed of the bootstrap.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first unusable image.")] = False,
    speed: Annotated[bool, typer.Option("--speed/--no-speed", help="Measure latency and memory too.")] = True,
    retime: Annotated[
        bool, typer.Option("--retime", help="Measure the speed of finished runs again, on a quiet machine.")
    ] = False,
    engine: Annotated[str, typer.Option(help=options.ENGINE)] = "local",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew, and replace the results of another run.")
    ] = False,
    as_json: options.AsJson = False,
    *,
    given: options.Given,
) -> None:
    """Score models: PCKh@t, ME, PCKh@Human^0.95, ICC, beside size, latency and memory.

    Writes OUT/NAME/results.json and predictions.npz for each model. The same command given again goes on, and
    says of what is finished that it is.
    """
    from edgepose.engines import parse_engine
    from edgepose.errors import UsageError
    from edgepose.evaluation.evaluate import evaluate
    from edgepose.evaluation.several import check_for_engine, evaluate_on
    from edgepose.evaluation.subject import Request
    from edgepose.models.pretrained import model_path

    if not speed:
        given.refuse("retime", when="with --no-speed", hint="leave --no-speed out")
    if target != "android" and not target.startswith("android:"):
        given.refuse("delegate", when="without --target android", hint="add --target android")
    where = parse_engine(engine)
    models = [model_path(model) for model in models]
    if len({model.stem for model in models}) < len(models):
        raise UsageError("two models have the same name, so their results would share a folder", "rename one")
    request = Request(
        data=data,
        split=split,
        crop=crop,
        margin=margin,
        turn=turn,
        ruler=ruler,
        score=score,
        decode=decode,
        flip=flip,
        near=near,
        keypoints=keypoints,
        fallback=fallback,
        human=human,
        limit=limit,
        strict=strict,
        speed=speed,
        threads=threads,
        workers=workers,
        seed=seed,
        target=target,
        delegate=delegate,
    )
    check_for_engine(where, request, retime)
    scored, failed = [], []
    if where.is_local:
        for model in models:
            with bar(f"scoring {model.stem}", "images") as progress:
                scored.append(evaluate(model, request, out, overwrite, retime, progress, options.say))
    else:
        with bar("scoring", "models") as progress:
            each = evaluate_on(where, models, request, out, overwrite, progress, options.say)
        scored = [(one.results, one.path) for one in each if one.results is not None and one.path is not None]
        failed = [one.error for one in each if one.error is not None]
    if as_json:
        options.print_json([results for results, _ in scored])
    elif scored:
        _print_table(scored)
    for model in models:
        warn_of_rounding(model)
    for error in failed:
        typer.echo(f"error: {error}", err=True)
    if failed:
        raise typer.Exit(max(error.exit_code for error in failed))


def _print_table(scored: list) -> None:  # type: ignore[type-arg]
    from rich.console import Console
    from rich.table import Table

    from edgepose.data.rulers import RULERS

    first = scored[0][0]
    data, ruler = first.data, RULERS[first.data.ruler]
    title = f"{data.name}, split {data.split}, crop {data.crop}"
    title += f" plus {data.crop_margin:g}" if data.crop_margin is not None else ""
    title += f", turn {data.turn}" if data.turn != "none" else ""
    title += f", {len(data.scored_keypoints)} keypoints, ruler {ruler.key}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    emulated = any(results.device and results.device.kind == "emulated" for results, _ in scored)
    cost = "M instr." if emulated else "ms"
    precision = first.metrics.oks is not None
    for column in (
        "images",
        f"{ruler.metric}@0.5",
        "@0.2",
        "@0.1",
        "ME",
        "@Human",
        *(["OKS AP"] if precision else []),
        "KB",
        cost,
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for results, _ in scored:
        scores = results.metrics.overall.scores
        cells = [
            _cell(scores[key], digits)
            for key, digits in (
                ("pckh@0.5", 1),
                ("pckh@0.2", 1),
                ("pckh@0.1", 1),
                ("me", 4),
                ("pckh@human", 1),
            )
        ]
        table.add_row(
            results.name,
            str(results.data.n_images),
            *cells,
            *([_cell(results.metrics.oks.ap if results.metrics.oks else None, 1)] if precision else []),
            f"{results.model.size_bytes / 1000:.0f}",
            _cell(_cost(results), 1),
        )
    Console().print(table)
    for results, path in scored:
        left_out = (
            f" ({len(results.data.excluded)} images left out, listed there)" if results.data.excluded else ""
        )
        typer.echo(f"{path}{left_out}")
        if results.detector and results.detector.nobody_found:
            count = len(results.detector.nobody_found)
            typer.echo(f"  its detector finds nobody in {count} images, whose keypoints count as missed")
        if results.device:
            _print_device(results.device)
        if results.device and results.speed:
            typer.echo(f"  {results.speed.processor}: {results.speed.note}")


def _cost(results: Results) -> float | None:
    """Millions of instructions on an emulated device, where time means nothing; else milliseconds."""
    if results.device is not None and results.device.kind == "emulated":
        counted = results.device.instructions
        return counted.per_inference / 1e6 if counted else None
    return results.speed.latency_ms.median if results.speed else None


def _print_device(device: DeviceFacts) -> None:
    parity = device.parity
    typer.echo(
        f"  {device.processor}, {device.system}: {parity.identical} of {parity.n_images} images the same "
        f"to the bit as {parity.runtime} here; keypoints at most {parity.max_px:.2g} px apart"
    )
    if device.not_counted and device.kind == "emulated":
        typer.echo(f"  instructions not counted: {device.not_counted}")
    for estimate in device.estimates:
        error = (
            "error not known" if estimate.error_percent is None else f"within {estimate.error_percent:.0f} %"
        )
        said = "no estimate" if estimate.ms is None else f"about {estimate.ms:.1f} ms"
        place = f"{estimate.phone} ({estimate.processor}, {estimate.runtime}; {error})"
        typer.echo(f"  {said} on one core of {place}")


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
