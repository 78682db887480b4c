"""`edgepose data`: what a data set holds, and what it looks like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgepose.cli import options
from edgepose.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from edgepose.data.records import Dataset

app = typer.Typer(name="data", help="Look at data sets, and convert them.", no_args_is_help=True)

Keypoints = options.KeypointsOfData
Data = Annotated[str, typer.Argument(help="The data set: FORMAT:PATH, or a path whose layout is known.")]


@app.command("info")
def info(
    data: Data,
    keypoints: Keypoints = None,
    as_json: AsJson = False,
) -> None:
    """Count images, keypoints and splits, and say what was left out and why."""
    from edgepose.data.summary import summarise
    from edgepose.keypoint_file import describe

    dataset = _open(data, keypoints)
    summary = summarise(dataset)
    if as_json:
        print_json(summary)
        return
    _print(summary)
    if dataset.keypoints.guessed:
        typer.echo("\n".join(describe(dataset.keypoints)))


@app.command("keypoints")
def keypoint_file(
    data: Data,
    out: Annotated[Path, typer.Option(help="The keypoint file to write (.toml).")],
    overwrite: options.Overwrite = False,
) -> None:
    """Write a data set's keypoints as a keypoint file: names, pairs, segments and head, to be corrected."""
    from dataclasses import replace

    from edgeio import replacing
    from edgepose.errors import UsageError
    from edgepose.keypoint_file import SUFFIX, to_toml
    from edgepose.keypoints import is_own

    if out.suffix != SUFFIX:
        raise UsageError(f"{out} is no name for a keypoint file", f"give an --out that ends in {SUFFIX}")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists", "choose another name, or add --overwrite")
    found = _open(data, None).keypoints
    if not is_own(found.key):  # whose name the file may not have
        found = replace(found, key=f"my-{found.key}")
    with replacing(out) as temporary:
        temporary.write_text(to_toml(found), encoding="utf-8")
    typer.echo(f"{out}: {found.key}, {len(found)} keypoints")


@app.command("convert")
@options.spread()
def convert(
    data: Annotated[
        str,
        typer.Argument(help="The data set: FORMAT:PATH, a known layout, or a .slp of SLEAP.", metavar="IN"),
    ],
    to: Annotated[str, typer.Option(help="The layout to write: coco, in-motion or deeplabcut.")],
    out: Annotated[Path, typer.Option(help="The folder to write, which is not there yet or is empty.")],
    *,
    keypoints: Keypoints = None,
    near: Annotated[
        bool,
        typer.Option(
            "--near", help="Also take keypoints that in-motion defines slightly differently (hip, pelvis)."
        ),
    ] = False,
    rated: Annotated[
        float | None,
        typer.Option(
            help="Move the training split's labels as human raters would, with so many times the published "
            "spread of ten experts; val and test stay exact."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="With --rated: the seed of the raters.")] = 0,
    given: options.Given,
) -> None:
    """Write a data set in another layout, its images with it, and say what that layout has no room for."""
    import tempfile

    from edgepose.cli.progress import bar
    from edgepose.data import sleap
    from edgepose.data.convert import convert
    from edgepose.keypoint_file import named_set
    from edgepose.synthetic.raters import rated as as_rated

    if rated is None:
        given.refuse("seed", when="without --rated", hint="add --rated")
    with tempfile.TemporaryDirectory() as frames, bar(f"converting to {to}", "images") as progress:
        if data.endswith(sleap.SUFFIX):
            wanted = None if keypoints is None else named_set(keypoints)
            dataset = sleap.read(Path(data.removeprefix(f"{sleap.KEY}:")), Path(frames), wanted)
        else:
            dataset = _open(data, keypoints)
        if rated is not None:
            dataset, notes = as_rated(dataset, "train", rated, seed)
            for note in notes:
                options.say(note)
        done = convert(dataset, to, out, near, progress)
    for note in done.notes:
        options.say(note)
    typer.echo(f"{out}: {done.images} images; left out: {len(dataset.left_out)}")


@app.command("show")
def show(
    data: Data,
    out: Annotated[Path, typer.Option(help="The PNG file to write.")],
    split: Annotated[
        str, typer.Option(help="The split to draw from: train, val, test, several as in val+test, or all.")
    ] = "all",
    keypoints: Keypoints = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the draw of images.")] = 0,
    columns: Annotated[int, typer.Option(min=1, help="How many images lie beside each other.")] = 6,
    rows: Annotated[int, typer.Option(min=1, help="How many images lie below each other.")] = 4,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a PNG file that exists already.")
    ] = False,
) -> None:
    """Draw a contact sheet: a sample of the images with their skeletons."""
    from edgepose.data.records import splits_named
    from edgepose.errors import UsageError
    from edgepose.visual.contact_sheet import contact_sheet

    splits_named(split)
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists", "choose another name, or add --overwrite")
    sheet = contact_sheet(_open(data, keypoints), out, columns, rows, seed, split)
    typer.echo(f"{out}: {len(sheet.shown)} of {sheet.available} images")
    for name in sheet.unreadable:
        typer.echo(f"cannot be read: {name}", err=True)


def _open(data: str, keypoints: str | None) -> Dataset:
    from edgepose.data.registry import open_dataset_as
    from edgepose.keypoint_file import named_set

    return open_dataset_as(data, None if keypoints is None else named_set(keypoints))


def _print(summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    console.print(f"[bold]{escape(summary['name'])}[/] ({summary['keypoint_set']})", soft_wrap=True)
    console.print(_splits(summary))
    console.print(_keypoints(summary))
    if summary["columns"]:
        console.print(_columns(summary))
    for line in _lines(summary):
        console.print(escape(line), soft_wrap=True, highlight=False)


def _splits(summary: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("split")
    for header in ("images", "videos", "keypoints"):
        table.add_column(header, justify="right")
    for name, counts in (*summary["splits"].items(), ("all", summary)):
        table.add_row(name, *(f"{counts[h]:,}" for h in ("images", "videos", "keypoints")))
    return table


def _keypoints(summary: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("keypoint")
    table.add_column("labelled", justify="right")
    table.add_column("of images", justify="right")
    for name, count in summary["labelled"].items():
        table.add_row(name, f"{count:,}", f"{100 * count / summary['images']:.1f} %")
    return table


def _columns(summary: dict[str, Any]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table("column", "images per value")
    for name, column in summary["columns"].items():
        cells = [f"{value}: {count:,}" for value, count in column["images"].items()]
        more = column["values"] - len(cells)
        if more:
            cells.append(f"{more:,} more: {column['others']:,}")
        if column["without"]:
            cells.append(f"none: {column['without']:,}")
        table.add_row(escape(name), escape(", ".join(cells)))
    return table


def _lines(summary: dict[str, Any]) -> list[str]:
    """Head lengths, image sizes and what was left out."""
    lines = []
    if head := summary["head_length_px"]:
        quantiles = ", ".join(
            f"{k} {head[k]:g}" for k in ("min", "p05", "p25", "median", "p75", "p95", "max")
        )
        lines.append(f"head length, px: {quantiles} ({head['n']} images, {head['missing']} without)")
    else:
        lines.append("head length: none in this set")
    sizes = summary["image_size_px"]
    if sizes["height"]:
        (h0, h1), (w0, w1) = sizes["height"], sizes["width"]
        lines.append(
            f"image size, px: {h0}-{h1} high, {w0}-{w1} wide ({sizes['read']} of {sizes['of']} read)"
        )
    if sizes["unreadable"]:
        lines.append(f"unreadable images among these: {', '.join(sizes['unreadable'])}")
    if cut := summary["videos_across_splits"]:
        lines.append(
            f"warning: {len(cut)} videos lie in more than one split, the first: {', '.join(cut[:5])}"
        )
    lines.append(f"left out: {summary['left_out']['count']}")
    for group in summary["left_out"]["reasons"]:
        names = "; ".join(e["name"] + e["reason"].removeprefix(group["reason"]) for e in group["first"])
        lines.append(f"  {group['count']} x {group['reason']}: {names}")
    return lines
