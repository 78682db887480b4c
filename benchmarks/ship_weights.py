"""Put checkpoints into the package as default weights, in float16, as .tflite too, and print their rows.

    python benchmarks/ship_weights.py CHECKPOINT...

Each goes to edgepose/weights/MODEL.safetensors, named after its network, once its maps agree with the
checkpoint's own on drawn infants, and MODEL.tflite with its sidecar beside it, which `edgepose export` makes
of it by the recipe fp16 and whose keypoints must lie where the checkpoint's do. A file that is in the package
already (`default:MODEL`) is only exported. A .tflite in int8 becomes MODEL-int8.tflite, the file for the
phone, and its hash is printed. The printed row belongs into edgepose/models/pretrained.py, with
what the network was trained on and what it scores filled in.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from edgeio import UserError, replacing, sha256_file
from edgepose.deploy.export import export_checkpoint
from edgepose.deploy.golden import synthetic_frames
from edgepose.errors import BadCheckpoint, BadModel
from edgepose.geometry import letterbox
from edgepose.inference.decode import PoseDecoder
from edgepose.inference.runners import open_runner
from edgepose.models.checkpoint import CheckpointInfo, load_model, read_checkpoint, save_checkpoint
from edgepose.models.pretrained import FOLDER, INT8, DefaultWeights, checkpoint_path
from edgepose.models.variants import NORMALISATIONS, VARIANTS, variant
from edgepose.synthetic.video import video
from export.sidecar import sidecar_path

TOLERANCE = 0.02  # of the highest value in the maps
RECIPE = "fp16"
FRAMES = 16  # drawn infants to compare an export with its checkpoint on
# How far keypoints may lie from the checkpoint's, in pixels of the network's input: 99 of 100, and any, since
# a peak whose highest cells tie falls to either of them by float16's rounding alone.
SHIFT_PX, TIED_PX = 0.25, 1.0


def ship(checkpoint: Path, folder: Path) -> DefaultWeights:
    """Write one checkpoint into the package's folder in float16, and its export.

    Raises:
        BadCheckpoint: unusable, or its maps do not survive the rounding, or its keypoints the export.
    """
    info, tensors = read_checkpoint(checkpoint)
    target = folder / f"{info.model}.safetensors"
    if checkpoint.resolve() == target.resolve():
        return DefaultWeights(
            info.model, info.keypoints, sha256_file(target), export(target), info.resolution, "", ""
        )
    with tempfile.TemporaryDirectory() as scratch:
        halved = Path(scratch) / target.name
        save_checkpoint(halved, tensors, info, half=True)
        difference, highest = compared(info, checkpoint, halved)
        if not difference <= TOLERANCE * highest:
            raise BadCheckpoint(
                f"{checkpoint} in float16 has maps that differ by {difference:.2g} of {highest:.2g}",
                "ship another checkpoint",
            )
        with replacing(target) as temporary:
            temporary.write_bytes(halved.read_bytes())
    print(f"{target}: {target.stat().st_size:,} bytes, {info.source}")
    print(f"largest difference between the maps of drawn infants: {difference:.2g} of {highest:.2g}")
    return DefaultWeights(
        info.model, info.keypoints, sha256_file(target), export(target), info.resolution, "", ""
    )


def ship_int8(made: Path, folder: Path) -> None:
    """Copy an int8 file and its sidecar beside its network's checkpoint, and print its hash.

    Raises:
        BadModel: unusable, or no int8 file of ours that gives maps.
    """
    spec = open_runner(made).spec
    if not (spec.network in VARIANTS and spec.gives_maps and (spec.recipe or "").startswith("int8")):
        raise BadModel(f"{made} is no int8 file of edgepose's that gives maps", "give one of quantize or qat")
    target = folder / f"{spec.network}{INT8}.tflite"
    _copied(made, target)
    usual, largest = shift_px(folder / f"{spec.network}.safetensors", target)
    print(
        f'{target}: {target.stat().st_size:,} bytes, int8_sha256="{sha256_file(target)}"; '
        f"keypoints of {FRAMES} drawn infants at most {largest:.2g} px off, 99 % {usual:.2g} px"
    )


def _copied(made: Path, target: Path) -> None:
    for path, place in ((sidecar_path(made), sidecar_path(target)), (made, target)):
        with replacing(place) as temporary:
            temporary.write_bytes(path.read_bytes())


def export(shipped: Path) -> str:
    """Export a shipped checkpoint beside itself; returns the .tflite's SHA-256.

    Raises:
        BadCheckpoint: keypoints of drawn infants lie further from the checkpoint's than they may.
    """
    target = shipped.with_suffix(".tflite")
    with tempfile.TemporaryDirectory() as scratch:
        made = export_checkpoint(shipped, RECIPE, "maps", Path(scratch)).path
        usual, largest = shift_px(shipped, made)
        if not (usual <= SHIFT_PX and largest <= TIED_PX):
            raise BadCheckpoint(
                f"{shipped} as {RECIPE} has keypoints up to {largest:.2g} px off, 99 % of them {usual:.2g}",
                "ship another",
            )
        _copied(made, target)
    print(
        f"{target}: {target.stat().st_size:,} bytes; "
        f"keypoints of {FRAMES} drawn infants at most {largest:.2g} px off, 99 % {usual:.2g} px"
    )
    return sha256_file(target)


def shift_px(one: Path, other: Path) -> tuple[float, float]:
    """How far two models' keypoints of drawn infants lie apart, px of the input: 99 % of them, and all."""
    runners = [open_runner(path) for path in (one, other)]
    spec = runners[0].spec
    frames = [video(0, number, (240, 320)).frame(0).picture for number in range(FRAMES)]
    inputs = [
        spec.normalisation.apply(letterbox(frame.shape[:2], spec.input_size).draw(frame)[None])
        for frame in frames
    ]
    ours, theirs = (
        np.concatenate([PoseDecoder(runner.spec, None)(runner.run(x))[0] for x in inputs])
        for runner in runners
    )
    distances = np.linalg.norm(ours - theirs, axis=-1)
    return float(np.quantile(distances, 0.99)), float(distances.max())


def compared(info: CheckpointInfo, one: Path, other: Path) -> tuple[float, float]:
    """The largest difference between two checkpoints' maps, and the highest absolute value in the first's."""
    frames = synthetic_frames()
    canvases = [letterbox(f.shape[:2], (info.resolution, info.resolution)).draw(f) for f in frames]
    inputs = NORMALISATIONS[variant(info.model).normalisation].apply(np.stack(canvases))
    ours, theirs = (np.asarray(load_model(path)(inputs, training=False)) for path in (one, other))
    return float(np.abs(ours - theirs).max()), float(np.abs(ours).max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="another than the package's, to try")
    arguments = parser.parse_args()
    phone = [path for path in arguments.checkpoints if path.suffix == ".tflite"]
    try:
        for path in phone:
            ship_int8(path, arguments.folder)
        others = [path for path in arguments.checkpoints if path not in phone]
        rows = [ship(checkpoint_path(given), arguments.folder) for given in others]
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    for row in rows:
        print(f'"{row.model}": {row},')


if __name__ == "__main__":
    main()
