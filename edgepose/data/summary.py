"""A data set in numbers, for `edgepose data info`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgepose.data.collect import reason_kind
from edgepose.data.head_length import head_lengths
from edgepose.data.images import image_size
from edgepose.data.records import SPLITS, Dataset, LeftOut, PoseRecord
from edgepose.errors import BadDataset, BadImage

MAX_HEADERS = 200
_QUANTILES = {"min": 0.0, "p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}
_NAMES_SHOWN = 5
_VALUES_SHOWN = 6


def summarise(dataset: Dataset) -> dict[str, Any]:
    """Counts and quantiles that JSON can hold.

    Returns:
        name, format, keypoint_set; images, videos and keypoints of the whole and of each split; videos
        that lie in more than one split; labelled images per keypoint; head_length_px quantiles over n
        images, with how many have none, or None where the set has no head segment; image_size_px,
        smallest and largest, over the `read` of `of` image files; columns, each with how many `values` it
        has, the `images` of the most frequent ones, of the `others`, and those `without` any;
        left_out counted by reason with the first names.
    """
    points = _points(dataset)
    labelled = np.isfinite(points).all(axis=-1)
    per_name = labelled.sum(axis=0).tolist()
    return {
        "name": dataset.name,
        "format": dataset.format,
        "keypoint_set": dataset.keypoints.key,
        **_counts(dataset.records),
        "splits": {split: _counts(dataset.split(split)) for split in SPLITS},
        "videos_across_splits": _videos_across_splits(dataset.records),
        "labelled": dict(zip(dataset.keypoints.names, per_name, strict=True)),
        "head_length_px": _head_lengths(dataset, points),
        "image_size_px": _image_sizes(dataset.records),
        "columns": _columns(dataset.records),
        "left_out": {"count": len(dataset.left_out), "reasons": _reasons(dataset.left_out)},
    }


def _points(dataset: Dataset) -> np.ndarray:
    return np.stack([record.keypoints_px for record in dataset.records])


def _counts(records: Sequence[PoseRecord]) -> dict[str, int]:
    return {
        "images": len(records),
        "videos": len({record.video for record in records}),
        "keypoints": sum(int(np.isfinite(r.keypoints_px).all(axis=-1).sum()) for r in records),
    }


def _videos_across_splits(records: Sequence[PoseRecord]) -> list[str]:
    splits: dict[str, set[str]] = {}
    for record in records:
        splits.setdefault(record.video, set()).add(record.split)
    return sorted(video for video, found in splits.items() if len(found) > 1)


def _head_lengths(dataset: Dataset, points: np.ndarray) -> dict[str, Any] | None:
    try:
        lengths = head_lengths(points, dataset.keypoints, [r.head_length_px for r in dataset.records]).px
    except BadDataset:
        return None
    known = lengths[np.isfinite(lengths)]
    quantiles = {name: round(float(np.quantile(known, q)), 2) for name, q in _QUANTILES.items()}
    return {"n": len(known), "missing": len(lengths) - len(known), **quantiles}


def _image_sizes(records: Sequence[PoseRecord]) -> dict[str, Any]:
    """Sizes out of the headers of at most `MAX_HEADERS` files, evenly spaced through the data set."""
    files = list(dict.fromkeys(record.image for record in records))
    picked = np.unique(np.linspace(0, len(files) - 1, min(len(files), MAX_HEADERS)).round().astype(int))
    sizes, unreadable = [], []
    for index in picked:
        try:
            sizes.append(image_size(files[index]))
        except BadImage:
            unreadable.append(files[index].name)
    found: dict[str, Any] = {"read": len(picked), "of": len(files), "unreadable": unreadable}
    for axis, name in enumerate(("height", "width")):
        found[name] = [min(s[axis] for s in sizes), max(s[axis] for s in sizes)] if sizes else None
    return found


def _columns(records: Sequence[PoseRecord]) -> dict[str, dict[str, Any]]:
    """Images per value of each column: the most frequent values, and of the rest how many there are."""
    names = dict.fromkeys(name for record in records for name in record.columns)
    found = {}
    for name in names:
        counts = Counter(record.columns[name] for record in records if name in record.columns)
        shown = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_VALUES_SHOWN])
        found[name] = {
            "values": len(counts),
            "images": shown,
            "others": counts.total() - sum(shown.values()),
            "without": len(records) - counts.total(),
        }
    return found


def _reasons(left_out: Sequence[LeftOut]) -> list[dict[str, Any]]:
    """Reasons, the most frequent first, each with its first names and their details."""
    counts = Counter(reason_kind(entry.reason) for entry in left_out)
    return [
        {
            "reason": kind,
            "count": count,
            "first": [
                {"name": entry.name, "reason": entry.reason}
                for entry in left_out
                if reason_kind(entry.reason) == kind
            ][:_NAMES_SHOWN],
        }
        for kind, count in counts.most_common()
    ]
