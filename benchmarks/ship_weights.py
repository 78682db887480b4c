"""Put checkpoints into the package as default weights, in float16, and print their rows of the table.

    python benchmarks/ship_weights.py CHECKPOINT...

Each goes to edgepose/weights/MODEL.safetensors, named after its network, once its maps agree with the
checkpoint's own on drawn infants. The printed row belongs into edgepose/models/pretrained.py, with what the
network was trained on and what it scores filled in.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from edgeio import UserError, replacing, sha256_file
from edgepose.deploy.golden import synthetic_frames
from edgepose.errors import BadCheckpoint
from edgepose.geometry import letterbox
from edgepose.models.checkpoint import CheckpointInfo, load_model, read_checkpoint, save_checkpoint
from edgepose.models.pretrained import FOLDER, DefaultWeights
from edgepose.models.variants import NORMALISATIONS, variant

TOLERANCE = 0.02  # of the highest value in the maps


def ship(checkpoint: Path, folder: Path) -> DefaultWeights:
    """Write one checkpoint into the package's folder in float16.

    Raises:
        BadCheckpoint: unusable, or its maps do not survive the rounding.
    """
    info, tensors = read_checkpoint(checkpoint)
    target = folder / f"{info.model}.safetensors"
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
    return DefaultWeights(info.model, info.keypoints, sha256_file(target), info.resolution, "", "")


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
    try:
        rows = [ship(checkpoint, arguments.folder) for checkpoint in arguments.checkpoints]
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    for row in rows:
        print(f'"{row.model}": {row},')


if __name__ == "__main__":
    main()
