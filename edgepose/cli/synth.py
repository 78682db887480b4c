"""`edgepose data synth`: make the built-in infants."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepose.cli.options import AsJson, Overwrite, print_json


def command(
    out: Annotated[Path, typer.Option(help="The folder to make; the same command again goes on there.")],
    videos: Annotated[int, typer.Option(help="How many videos to draw, one infant each.")] = 100,
    frames: Annotated[int, typer.Option(help="How many frames each video has.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    size: Annotated[
        str | None,
        typer.Option(
            help="WIDTHxHEIGHT of all frames, as 640x480, or one number, as 320, for the longest side of "
            "each setup's own shapes; else each setup's own sizes."
        ),
    ] = None,
    variety: Annotated[
        str,
        typer.Option(
            help="What is drawn: 'clinic' is infants on their back, filmed from above for an assessment; "
            "'home' is infants as families photograph them: dressed, close up, turned, from any side, in "
            "adult hands; 'home-postures' is the same homes with infants on their tummy and side, sitting, "
            "on all fours and held upright."
        ),
    ] = "clinic",
    workers: Annotated[
        int | None, typer.Option(help="How many processes draw; default: one for each CPU core.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make synthetic infants with exact keypoints, in In-Motion's processed layout."""
    from edgeio import read_json
    from edgepose.cli.progress import bar
    from edgepose.synthetic import parse_size, synthesise

    shape = parse_size(size) if size else None
    with bar("drawing infants", "frames") as update:
        synthesise(out, videos, frames, seed, shape, workers, update, variety, overwrite)
    if as_json:
        made = read_json(out / "dataset.json", "make the set again")
        print_json({"out": out, **made})
    else:
        typer.echo(f"{out}: {videos * frames} frames of {videos} videos; look with: edgepose data show {out}")
