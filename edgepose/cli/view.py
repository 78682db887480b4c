"""`edgepose view`: a page in the browser of what `edgepose predict` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepose.cli import options


@options.spread()
def command(
    folder: Annotated[
        Path,
        typer.Argument(help="The --out folder of `edgepose predict`, or one NAME.json in it.", metavar="DIR"),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Write the page to this file, without the videos, and serve nothing."),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the page's address, and open no browser.")
    ] = False,
    *,
    given: options.Given,
) -> None:
    """Look at predicted videos: skeleton, confidence, warnings and skipped frames, in the browser.

    The page is served to this machine alone, until Ctrl-C. Nothing leaves this machine.
    """
    from edgepose.viewer.stored import find_inputs

    found = find_inputs(folder)
    if out is not None:
        given.refuse("no_browser", when="with --out, which opens none", hint="leave it out")
        from edgepose.viewer.page import write_page

        size = write_page(found, out)
        typer.echo(f"{out}: {len(found.videos)} videos, {size / 1e6:.2f} MB, without the pictures")
        return
    import webbrowser

    from edgepose.viewer.server import PageServer

    with PageServer(found) as server:
        typer.echo(f"{server.address}\nCtrl-C ends it.")
        if not no_browser:
            webbrowser.open(server.address)
        server.serve_until_interrupted()
