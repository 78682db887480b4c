"""`edgepose import-weights`: a checkpoint from the authors' released weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgepose.cli.options import AsJson, Crop, print_json

if TYPE_CHECKING:
    from edgepose.models.author_weights import ImportReport


def command(
    file: Annotated[Path, typer.Argument(help="The authors' .h5 file, or EfficientPoseII.tflite.")],
    model: Annotated[
        str, typer.Option(help="The network that it is: rt, i, ii, iii, iv, rt-lite, i-lite or ii-lite.")
    ],
    out: Annotated[Path, typer.Option(help="The checkpoint to write, a .safetensors file.")],
    keypoints: Annotated[
        str,
        typer.Option(
            help="The keypoint set: mpii-16 keeps the authors' heads; another set, as in-motion-19, or a "
            "keypoint file (.toml) gets new ones."
        ),
    ] = "mpii-16",
    data: Annotated[
        str | None, typer.Option(help="The data set whose images tell what a .tflite file left out.")
    ] = None,
    crop: Crop = "none",
    count: Annotated[int, typer.Option(min=8, help="How many images of --data are taken.")] = 48,
    as_json: AsJson = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a checkpoint that exists already.")
    ] = False,
) -> None:
    """Import the EfficientPose authors' weights; code in the file is never run.

    Every layer with weights is listed: loaded, new (to be trained) or unused.
    """
    from edgepose.deploy.export import Calibrate, sample_inputs
    from edgepose.errors import UsageError
    from edgepose.keypoint_file import named_set
    from edgepose.models.author_weights import import_weights
    from edgepose.models.variants import NORMALISATIONS, variant

    if out.suffix != ".safetensors":
        raise UsageError(f"{out} is no name for a checkpoint", "give an --out that ends in .safetensors")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists", "choose another name, or add --overwrite")
    images: list[Any] = []
    if data is not None:
        chosen = variant(model)
        size, normalisation = (chosen.resolution,) * 2, NORMALISATIONS[chosen.normalisation]
        images, _ = sample_inputs(Calibrate(data, count=count, crop=crop), size, normalisation)
    report = import_weights(file, model, out, named_set(keypoints).key, images=images)
    if as_json:
        print_json(report)
    else:
        _print(report)


def _print(report: ImportReport) -> None:
    typer.echo(f"{report.checkpoint}: {report.model}, {report.keypoints}")
    for kind in ("loaded", "new", "unused"):
        layers = getattr(report, kind)
        shown = "" if not layers or kind == "loaded" else ": " + ", ".join(layers)
        typer.echo(f"{len(layers):4d} layers {kind}{shown}")
