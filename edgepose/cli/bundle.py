"""`edgepose bundle`: one file for an app, and its check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edgepose.cli import options

_MAKE = "make"


class _MakeByDefault(TyperGroup):
    """`bundle MODEL.tflite` is `bundle make MODEL.tflite`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_MAKE, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_MakeByDefault,
    no_args_is_help=True,
    help="A scored model as one file for an app: `bundle MODEL.tflite --report RESULTS --out APP.zip`; "
    "`bundle verify APP.zip` checks it and replays its golden vectors.",
)


@app.command(_MAKE)
def make(
    model: Annotated[
        Path,
        typer.Argument(
            help="The .tflite file to bundle, with its sidecar beside it, or default:MODEL-int8.",
            metavar="MODEL.tflite",
        ),
    ],
    report: Annotated[
        Path, typer.Option(help="The results.json that `edgepose evaluate` wrote for it, or its folder.")
    ],
    out: Annotated[Path, typer.Option(help="The archive to write.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an archive that exists already.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Bundle a model: metadata, manifest, golden vectors, model card, evaluation, and hashes of all.

    The golden vectors are made of drawn infants, never of patients. The same model and results give the
    same bytes.
    """
    from edgepose.deploy.bundle import make_bundle
    from edgepose.models.pretrained import model_path

    bundle = make_bundle(model_path(model), report, out, overwrite)
    if as_json:
        options.print_json(bundle.manifest)
        return
    for name, content in sorted(bundle.parts.items()):
        typer.echo(f"{len(content):>10,}  {name}")
    typer.echo(f"{out}\nSHA-256 {bundle.sha256}")


@app.command("verify")
def verify(
    bundle: Annotated[Path, typer.Argument(help="The archive to check.", metavar="APP.zip")],
    runtime: Annotated[
        str | None,
        typer.Option(
            help="The runtime to replay on, litert or tflite-runtime; default: every one that is installed."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Check every byte of a bundle, and replay its golden vectors on the runtimes of this machine."""
    from edgepose.deploy.bundle import verify_bundle

    found = verify_bundle(bundle, runtime)
    if as_json:
        options.print_json(found)
        return
    typer.echo(f"{found.name}: {found.parts} parts, SHA-256 {found.sha256}")
    for r in found.replayed:
        typer.echo(
            f"ok: {r.runtime} {r.runtime_version}, {r.frames} golden frames: outputs within "
            f"{r.output_max_abs:.2g}, {100 * r.keypoint_share:.0f} % of keypoints within {r.allowed_px:g} px "
            f"(the farthest {r.keypoint_px:.2g} px)"
        )
    for name, reason in found.absent.items():
        typer.echo(f"not replayed: {name} ({reason})")
