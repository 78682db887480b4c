"""`edgepose data synth`: make the built-in infants."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepose.cli.options import AsJson, Overwrite


def command(
    out: Annotated[Path, typer.Option(help="The folder to make; the same command again goes on there.")],
    videos: Annotated[int, typer.Option(help="How many videos to draw, one infant each.")] = 100,
    frames: Annotated[int, typer.Option(help="How many frames each video has.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    size: Annotated[
        str | None,
        typer.Option(
            help="The WIDTHxHEIGHT of all frames, as 640x480; default: each recording setup has its own."
        ),
    ] = None,
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
        synthesise(out, videos, frames, seed, shape, workers, update, overwrite)
    if as_json:
        import json

        made = read_json(out / "dataset.json", "make the set again")
        typer.echo(json.dumps({"out": str(out), **made}, indent=1))
    else:
        typer.echo(f"{out}: {videos * frames} frames of {videos} videos; look with: edgepose data show {out}")
