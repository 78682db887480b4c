"""How often `edgepose predict` warns of two infants, a limb too long or no infant, rightly and wrongly.

    python benchmarks/predict_warnings.py --data infants --out reports/predict-warnings/warnings.json

Shows the networks that come with the project pictures of a split: single infants; pairs of different
infants side by side, one above the other, and side by side cropped to themselves; and pictures of nobody.
Each picture is predicted as `edgepose predict` does by default: infant and turn found, alone. In videos it
warns from one frame in ten. A pair that no warning finds is not always a wrong pose: a network may see one
of the two and follow that one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgeio import write_json
from edgepose.data.framing import person_box
from edgepose.data.images import read_image
from edgepose.data.records import PoseRecord
from edgepose.data.registry import open_dataset
from edgepose.inference.estimator import Estimator
from edgepose.inference.runners import open_runner
from edgepose.models.pretrained import DEFAULT_WEIGHTS
from edgepose.tracking.calibrate import empty_pictures
from edgepose.tracking.predict import PredictSettings, predict_array
from edgepose.tracking.tracking import AUTO, Crop

KINDS = ("no-infant", "second-infant", "overlong-limb")
_SIDE = 480  # px, of each infant's picture in a pair


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="infants of `edgepose data synth`, or coco:SYRIP")
    parser.add_argument("--split", default="val")
    parser.add_argument("--where", default="", help="COLUMN=VALUE: only pictures of which that is said")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=60, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    dataset = open_dataset(chosen.data)
    column, _, value = chosen.where.partition("=")
    records = [r for r in dataset.split(chosen.split) if not column or r.columns.get(column) == value]
    shown = pictures(records, chosen.pictures, chosen.seed)
    result = {
        "data": dataset.label,
        "split": chosen.split,
        "where": chosen.where,
        "seed": chosen.seed,
        "networks": {},
    }
    for key, weights in DEFAULT_WEIGHTS.items():
        estimator = Estimator(open_runner(weights.tflite_path))
        result["networks"][key] = {kind: flagged(estimator, images) for kind, images in shown.items()}
        for kind, shares in result["networks"][key].items():
            print(f"{key:8} {kind:18}", *(f"{name} {100 * share:.0f} %" for name, share in shares.items()))
    write_json(chosen.out, result)


def pictures(records: Sequence[PoseRecord], count: int, seed: int) -> dict[str, list[np.ndarray]]:
    """Pictures (H, W, 3) uint8 by kind."""
    rng = np.random.default_rng(seed)
    singles = [records[i] for i in rng.permutation(len(records))[:count]]
    pairs = [_two_of_different_videos(records, rng) for _ in range(count)]
    whole = [[read_image(record.image) for record in pair] for pair in pairs]
    cropped = [[_cropped(record) for record in pair] for pair in pairs]
    return {
        "one": [read_image(record.image) for record in singles],
        "two, beside": [_beside(pair) for pair in whole],
        "two, above": [_above(pair) for pair in whole],
        "two, cropped": [_beside(pair) for pair in cropped],
        "nobody": empty_pictures(seed),
    }


def flagged(estimator: Estimator, images: Sequence[np.ndarray]) -> dict[str, float]:
    """Shares of pictures, 0 to 1, that each warning and any of them is about, as `predict` gives them."""
    settings = PredictSettings(Crop(AUTO), turn=None)
    said = [
        {warning.kind for warning in predict_array(estimator, image, settings).warnings} for image in images
    ]
    shares = {kind: float(np.mean([kind in kinds for kinds in said])) for kind in KINDS}
    shares["any"] = float(np.mean([bool(kinds & {*KINDS}) for kinds in said]))
    return {kind: round(share, 4) for kind, share in shares.items()}


def _two_of_different_videos(records: Sequence[PoseRecord], rng: Any) -> tuple[PoseRecord, PoseRecord]:
    first = records[rng.integers(len(records))]
    others = [record for record in records if record.video != first.video]
    return first, others[rng.integers(len(others))]


def _cropped(record: PoseRecord) -> np.ndarray:
    image = read_image(record.image)
    x0, y0, x1, y1 = (max(0, round(side)) for side in person_box(record.keypoints_px))
    return image[y0:y1, x0:x1]


def _beside(pair: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([_resized(image, _SIDE / image.shape[0]) for image in pair], 1)


def _above(pair: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([_resized(image, _SIDE / image.shape[1]) for image in pair], 0)


def _resized(image: np.ndarray, scale: float) -> np.ndarray:
    height, width = (round(side * scale) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height)))


if __name__ == "__main__":
    main()
