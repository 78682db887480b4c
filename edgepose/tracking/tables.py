"""A track as a file: csv, parquet, coco or h5, whose columns and fields are named alike, or in another
program's form (`exchange.py`).

A keypoint's row holds x_raw, y_raw (as the network says), x_smooth, y_smooth (after abstention, which
leaves them empty, and smoothing), peak, confidence and abstained. Pixels are the upright original frame's,
continuous: pixel i covers [i, i + 1).
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import lookup, replacing
from edgepose.errors import MissingPackage
from edgepose.tracking.exchange import (
    SCORER,
    write_deeplabcut_csv,
    write_deeplabcut_h5,
    write_nwb,
    write_openpose,
)
from edgepose.tracking.track import Track

COLUMNS = {
    "frame": "number of the frame, from 0; skipped frames leave holes",
    "file": "the image's name; empty for a video",
    "time_s": "when the frame is shown, s, by the container where that holds; empty for images",
    "keypoint": "its name",
    "x_raw": "px, as the network says; empty where its own detector finds nobody",
    "y_raw": "px, as the network says; empty where its own detector finds nobody",
    "x_smooth": "px, after abstention and smoothing; empty where abstained",
    "y_smooth": "px, after abstention and smoothing; empty where abstained",
    "peak": "the map's highest value",
    "confidence": "probability of lying within half a head, where calibrated; else the peak",
    "abstained": "1: the confidence is below the threshold, or nobody was found",
}


Write = Callable[[Track, dict[str, Any], Path], None]


@dataclass(frozen=True)
class TableFormat:
    """A file format.

    Attributes:
        key: as in `--format`.
        suffix: of the file.
        write: a track and the summary's facts, to a path.
        packages: what it takes beside edgepose.
        extra: the extra of edgepose that installs them.
        folder: it is a folder of files, and `write` is given an empty one.
        beside: another format whose file is written too, under "table_KEY".
    """

    key: str
    suffix: str
    write: Write
    packages: tuple[str, ...] = ()
    extra: str = ""
    folder: bool = False
    beside: TableFormat | None = None


def check_format(key: str) -> TableFormat:
    """The format called `key`, once it is sure that it can be written.

    Raises:
        UnknownName: no such format.
        MissingPackage: says what to install.
    """
    chosen = lookup(FORMATS, "format", key)
    for package in chosen.packages:
        try:
            __import__(package)
        except ImportError:
            raise MissingPackage(
                f"--format {chosen.key} needs {package}, which is not installed",
                f"install edgepose[{chosen.extra}], or use csv or coco",
            ) from None
    return chosen


def write_table(track: Track, facts: dict[str, Any], path: Path, form: TableFormat) -> None:
    """Write a track, whole or not at all.

    Args:
        facts: JSON that goes along where the format has room for it (coco, h5).
    """
    if form.folder:
        _write_folder(track, facts, path, form)
        return
    with replacing(path) as temporary:
        form.write(track, facts, temporary)


def _write_folder(track: Track, facts: dict[str, Any], path: Path, form: TableFormat) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.mkdir(parents=True)
        form.write(track, facts, temporary)
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def long_columns(track: Track) -> dict[str, np.ndarray]:
    """`COLUMNS` of one row a frame and keypoint, (N K,) each; NaN stands for empty."""
    n, k = track.peak.shape
    columns = {
        "frame": np.repeat(track.index, k),
        "file": np.repeat(np.array(track.files, dtype=str), k),
        "time_s": np.repeat(track.time_s, k),
        "keypoint": np.tile(np.array(track.keypoints.names), n),
        "x_raw": track.raw_px[..., 0].ravel(),
        "y_raw": track.raw_px[..., 1].ravel(),
        "x_smooth": track.smooth_px[..., 0].ravel(),
        "y_smooth": track.smooth_px[..., 1].ravel(),
        "peak": track.peak.ravel(),
        "confidence": track.confidence.ravel(),
        "abstained": track.abstained.ravel().astype(np.int8),
    }
    assert list(columns) == list(COLUMNS)
    return columns


# Decimals: a hundredth of a pixel and less; times to a microsecond, finer than any container's.
_DECIMALS = {"time_s": 6, "peak": 5, "confidence": 5}
_PIXEL_DECIMALS = 3


def _csv(track: Track, facts: dict[str, Any], path: Path) -> None:
    columns = long_columns(track)
    texts = [_texts(name, values) for name, values in columns.items()]
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*texts, strict=True))


def _texts(name: str, values: np.ndarray) -> list[str]:
    if values.dtype.kind != "f":
        return [str(value) for value in values.tolist()]
    digits = _DECIMALS.get(name, _PIXEL_DECIMALS)
    return ["" if value != value else f"{value:.{digits}f}" for value in values.tolist()]


def _parquet(track: Track, facts: dict[str, Any], path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    arrays = {
        name: pyarrow.array(values, from_pandas=values.dtype.kind == "f")  # NaN becomes null
        for name, values in long_columns(track).items()
    }
    table = pyarrow.table(arrays).replace_schema_metadata({"edgepose": json.dumps(facts)})
    with path.open("wb") as handle:  # pyarrow takes a name with a colon for an address
        pyarrow.parquet.write_table(table, handle)


def _h5(track: Track, facts: dict[str, Any], path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["edgepose"] = json.dumps(facts)
        file.attrs["keypoints"] = list(track.keypoints.names)
        arrays = {
            "frame": track.index,
            "time_s": track.time_s,
            "raw_px": track.raw_px,
            "smooth_px": track.smooth_px,
            "peak": track.peak,
            "confidence": track.confidence,
            "abstained": track.abstained,
        }
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip")
        if not track.is_video:
            file.create_dataset("file", data=list(track.files), dtype=h5py.string_dtype())


def _coco(track: Track, facts: dict[str, Any], path: Path) -> None:
    """COCO's keypoints: its pixel numbers mark centres, so they are half a pixel less than ours."""
    points = track.keypoints
    smooth, raw = track.smooth_px - 0.5, track.raw_px - 0.5
    images, annotations = [], []
    for i, (height, width) in enumerate(track.sizes.tolist()):
        time_s = float(track.time_s[i])
        images.append(
            {
                "id": i + 1,
                "file_name": track.files[i] or f"frame_{int(track.index[i]):06d}",
                "width": width,
                "height": height,
                "frame": int(track.index[i]),
                "time_s": round(time_s, 6) if track.is_video else None,
            }
        )
        annotations.append(_coco_person(i + 1, smooth[i], raw[i], track))
    category = {
        "id": 1,
        "name": "infant",
        "supercategory": "person",
        "keypoints": list(points.names),
        "skeleton": [[a + 1, b + 1] for a, b in points.segment_indices],
    }
    whole = {"info": facts, "images": images, "annotations": annotations, "categories": [category]}
    path.write_text(json.dumps(whole, allow_nan=False) + "\n", encoding="utf-8")


def _coco_person(number: int, smooth: np.ndarray, raw: np.ndarray, track: Track) -> dict[str, Any]:
    row = number - 1
    known = np.isfinite(smooth).all(-1)
    triples = np.column_stack([np.where(known[:, None], smooth, 0.0).round(3), np.where(known, 2, 0)])
    return {
        "id": number,
        "image_id": number,
        "category_id": 1,
        "keypoints": [int(v) if i % 3 == 2 else v for i, v in enumerate(triples.ravel().tolist())],
        "keypoints_raw": [None if v != v else v for v in raw.round(3).ravel().tolist()],
        "num_keypoints": int(known.sum()),
        "score": round(float(track.confidence[row].mean()), 5),
        "keypoints_confidence": track.confidence[row].round(5).tolist(),
        "keypoints_peak": track.peak[row].round(5).tolist(),
    }


FORMATS = {
    f.key: f
    for f in (
        TableFormat("csv", ".csv", _csv),
        TableFormat("parquet", ".parquet", _parquet, ("pyarrow",), "parquet"),
        TableFormat("coco", ".coco.json", _coco),
        TableFormat("h5", ".h5", _h5, ("h5py",), "h5"),
        TableFormat(
            "deeplabcut",
            f"{SCORER}.h5",
            write_deeplabcut_h5,
            ("pandas", "tables"),
            "deeplabcut",
            beside=TableFormat("csv", f"{SCORER}.csv", write_deeplabcut_csv),
        ),
        TableFormat("openpose", "_json", write_openpose, folder=True),
        TableFormat("nwb", ".nwb", write_nwb, ("pynwb", "ndx_pose"), "nwb"),
    )
}
