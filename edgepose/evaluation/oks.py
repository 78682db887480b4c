"""COCO's average precision by object keypoint similarity (OKS), computed by pycocotools.

Source: Lin et al. 2014 and the evaluation code of the COCO keypoint challenge. Persons are cropped to before
they are predicted, so there is one prediction a person, and its score is the mean confidence.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np

from edgepose.keypoints import COCO_17
from edgepose.results.predictions import Predictions
from edgepose.results.results import Oks

AREA = "area"  # column of a person's area in square pixels, without which there is no OKS


def oks_scores(predictions: Predictions, seen_as: str) -> Oks | None:
    """AP, AP50, AP75 and AR over the scored keypoints; None where they are not COCO's, or have no areas.

    Args:
        seen_as: key of the data set's keypoint set.
    """
    if seen_as != COCO_17.key or AREA not in predictions.columns:
        return None
    from importlib.metadata import version

    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(StringIO()):  # it tells its progress
        truth = _truth(predictions)
        run = COCOeval(truth, truth.loadRes(_found(predictions)), "keypoints")
        names = [str(name) for name in predictions.keypoints]
        run.params.kpt_oks_sigmas = run.params.kpt_oks_sigmas[[COCO_17.index(name) for name in names]]
        run.evaluate()
        run.accumulate()
        run.summarize()
    ap, ap50, ap75, ar = (float(100 * run.stats[i]) for i in (0, 1, 2, 5))
    return Oks(ap, ap50, ap75, ar, len(predictions), len(names), f"pycocotools {version('pycocotools')}")


def _truth(predictions: Predictions) -> Any:
    from pycocotools.coco import COCO

    images = _images(predictions)
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i} for i in sorted(set(images))],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {
                "id": k + 1,  # COCOeval takes 0 for "unmatched"
                "image_id": images[k],
                "category_id": 1,
                "iscrowd": 0,
                "area": float(predictions.columns[AREA][k]),
                "bbox": _bbox(points),
                "keypoints": _flat(points, np.isfinite(points).all(-1)),
                "num_keypoints": int(np.isfinite(points).all(-1).sum()),
            }
            for k, points in enumerate(predictions.annotated_px)
        ],
    }
    coco.createIndex()
    return coco


def _found(predictions: Predictions) -> list[dict[str, Any]]:
    """Each prediction; a keypoint that is missing lies far outside."""
    return [
        {
            "image_id": image,
            "category_id": 1,
            "keypoints": _flat(np.nan_to_num(points, nan=-1e6), np.ones(len(points), bool)),
            "score": float(np.mean(confidence)),
        }
        for image, points, confidence in zip(
            _images(predictions), predictions.predicted_px, predictions.confidence, strict=True
        )
    ]


def _images(predictions: Predictions) -> list[int]:
    """A number for each row's image: persons of one image share it."""
    return np.unique(predictions.image_paths, return_inverse=True)[1].tolist()


def _flat(points: np.ndarray, visible: np.ndarray) -> list[float]:
    whole = np.where(visible[:, None], points, 0.0)
    return np.concatenate([whole, 2.0 * visible[:, None]], axis=1).ravel().tolist()


def _bbox(points: np.ndarray) -> list[float]:
    known = points[np.isfinite(points).all(-1)]
    low, high = known.min(0), known.max(0)
    return [*low.tolist(), *(high - low).tolist()]
