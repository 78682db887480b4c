"""What `edgepose predict` wrote into a folder, read back: summaries and tables, of whatever origin."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeio import read_json, sha256_file
from edgeio.text import csv_rows, decimal
from edgepose.data.files import SUMMARY_MARK, files_in
from edgepose.errors import EdgeposeError

AGAIN = "run edgepose predict again"


class BadPrediction(EdgeposeError):
    """A folder, summary or table that is not what `edgepose predict` writes."""


class _Part(BaseModel):
    """A part of a summary; what the page does not show is not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)


class Job(_Part):
    """What the track depends on; see `tracking.batch`."""

    format: str
    abstain_below: float
    fps: float | None = Field(default=None, gt=0)


class Model(_Part):
    """The network."""

    network: str
    keypoints: str


class VideoFacts(_Part):
    """What the video's header says."""

    codec: str
    container: str
    rate: float | None = Field(default=None, gt=0)


class Frames(_Part):
    """How many, and the size of the upright frames in pixels."""

    predicted: int = Field(gt=0)
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class SkippedEntry(_Part):
    """See `tracking.video.Skipped`."""

    frame: int | None
    time_s: float | None
    reason: str


class WarningEntry(_Part):
    """See `tracking.quality.QualityWarning`."""

    kind: str
    share: float | None
    text: str
    frames: str = Field(default="", pattern=r"^(\d{1,9}(-\d{1,9})?(, \d{1,9}(-\d{1,9})?)*)?$")


class Whereabouts(_Part):
    """The video's path, from the summary's folder, and what tells whether it is still the same."""

    path: str
    size_bytes: int
    mtime_ns: int
    sha256: str


class Outputs(_Part):
    """Names of the files beside the summary."""

    table: str


class Summary(_Part):
    """STEM.json, as far as the page shows it."""

    predict_version: Literal[1]
    name: str
    job: Job
    model: Model
    video: VideoFacts | None
    frames: Frames
    confidence: str
    skipped: list[SkippedEntry]
    warnings: list[WarningEntry]
    outputs: Outputs
    source: Whereabouts | None = None


@dataclass(frozen=True)
class StoredInput:
    """One input of `edgepose predict`.

    Attributes:
        folder: where summary and table lie.
    """

    folder: Path
    summary: Summary

    @property
    def video_path(self) -> Path | None:
        """Where the video was; None where the summary does not say."""
        source = self.summary.source
        return None if source is None else (self.folder.resolve() / source.path).resolve()


@dataclass(frozen=True)
class StoredTrack:
    """A table, read back: N frames with K keypoints.

    Attributes:
        names: K keypoints.
        index: (N,) numbers of the frames, increasing.
        time_s: (N,) when each is shown, increasing.
        raw_px, smooth_px: (N, K, 2); NaN where the table is empty.
        confidence: (N, K).
    """

    names: tuple[str, ...]
    index: np.ndarray
    time_s: np.ndarray
    raw_px: np.ndarray
    smooth_px: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        videos: predicted videos, by name.
        left_out: what is not shown, and why.
    """

    videos: tuple[StoredInput, ...]
    left_out: tuple[str, ...]


def find_inputs(path: Path) -> Found:
    """What was predicted into a folder, or the one input of a summary.

    Raises:
        BadPrediction: nothing there that can be shown.
    """
    if path.is_file():
        return _sorted_out([path], path, f"give a summary (NAME.json), or a folder of them; or {AGAIN}")
    if not path.is_dir():
        raise BadPrediction(f"{path} does not exist", "give the --out folder of edgepose predict")
    summaries = [p for p in files_in(path, {".json"}) if _is_summary(p)]
    return _sorted_out(summaries, path, "give the --out folder of edgepose predict, run on videos")


def _sorted_out(summaries: Sequence[Path], path: Path, hint: str) -> Found:
    videos: list[StoredInput] = []
    left_out: list[str] = []
    for each in summaries:
        try:
            stored = _read_summary(each)
        except BadPrediction as error:
            if len(summaries) == 1:
                raise
            left_out.append(error.what)
            continue
        if stored.summary.video is None:
            left_out.append(f"{stored.summary.name} is of images: see its contact sheet")
        else:
            videos.append(stored)
    if not videos:
        only = f" ({left_out[0]})" if left_out else ""
        raise BadPrediction(f"{path} holds no video that edgepose predict was run on{only}", hint)
    return Found(tuple(videos), tuple(left_out))


def _is_summary(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            return SUMMARY_MARK.encode() in handle.read(200)
    except OSError:
        return False


def _read_summary(path: Path) -> StoredInput:
    plain = read_json(path, AGAIN, BadPrediction)
    try:
        summary = Summary.model_validate_json(json.dumps(plain))
    except ValidationError as wrong:
        first = wrong.errors()[0]
        field = ".".join(map(str, first["loc"])) or "all of it"
        raise BadPrediction(
            f"{path} is not a summary of edgepose predict ({field}: {first['msg']})", AGAIN
        ) from None
    return StoredInput(path.parent, summary)


def check_video(stored: StoredInput) -> Path:
    """The video, sure to be the one that was predicted.

    A file of the same size and time is; of another time, its hash is compared.

    Raises:
        BadPrediction: it is gone, or another; `what` is for the page.
    """
    path, source = stored.video_path, stored.summary.source
    if path is None or source is None:
        raise BadPrediction("the summary does not say where the video is", AGAIN)
    try:
        stat = path.stat()
        if not path.is_file():
            raise FileNotFoundError
    except OSError:
        raise BadPrediction(f"the video is gone: it was {path}", "put it back, or choose it here") from None
    same = stat.st_size == source.size_bytes
    if same and stat.st_mtime_ns != source.mtime_ns:  # a copy of it, or another recording
        same = sha256_file(path) == source.sha256
    if not same:
        raise BadPrediction(f"the video has changed since it was predicted: {path}", AGAIN)
    return path


def read_track(stored: StoredInput) -> StoredTrack:
    """The table of an input.

    Raises:
        BadPrediction: it is gone, damaged, or of a format that the page does not show.
    """
    name, form = stored.summary.outputs.table, stored.summary.job.format
    if not name or Path(name).name != name:
        raise BadPrediction(f"{stored.summary.name}.json names no file for its table", AGAIN)
    if form not in _READERS:
        raise BadPrediction(
            f"{name} is in the format {form}, which the page does not read",
            f"run edgepose predict with --format {', '.join(_READERS)}",
        )
    path = stored.folder / name
    try:
        track = _READERS[form](path)
        _check(track)
    except FileNotFoundError:
        raise BadPrediction(f"{path} is gone", AGAIN) from None
    except ImportError as missing:
        raise BadPrediction(
            f"{path} needs {missing.name}, which is not installed", f"pip install {missing.name}"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as damage:
        raise BadPrediction(f"{path} is damaged ({type(damage).__name__}: {damage})", AGAIN) from None
    return track


def _check(track: StoredTrack) -> None:
    """Raise ValueError where a table cannot be one of a video."""
    n, k = len(track.index), len(track.names)
    if not n or not k or len(set(track.names)) < k:
        raise ValueError("no frame, or no keypoint, or one twice")
    if track.raw_px.shape != (n, k, 2) or track.smooth_px.shape != (n, k, 2):
        raise ValueError("coordinates of another shape than the frames and keypoints")
    if track.confidence.shape != (n, k) or track.time_s.shape != (n,):
        raise ValueError("times or confidences of another shape than the frames and keypoints")
    if not np.isfinite(track.time_s).all() or (np.diff(track.time_s) <= 0).any():
        raise ValueError("its times do not go forward")
    if track.index.min() < 0 or (np.diff(track.index) <= 0).any():
        raise ValueError("its frames' numbers do not go forward")
    if np.isinf(track.raw_px).any() or np.isinf(track.smooth_px).any():
        raise ValueError("a coordinate is infinite")


def _csv(path: Path) -> StoredTrack:
    (_, header), *rows = csv_rows(path)
    columns = dict(zip(header, zip(*(row for _, row in rows), strict=True), strict=True))
    return _long(columns)


def _parquet(path: Path) -> StoredTrack:
    import pyarrow.parquet

    with path.open("rb") as handle:
        table = pyarrow.parquet.read_table(handle)
    return _long({name: table[name].to_pylist() for name in table.column_names})


def _long(columns: Mapping[str, Sequence[Any]]) -> StoredTrack:
    """Of one row a frame and keypoint, the keypoints of a frame together and in one order."""
    frames = columns["frame"]
    ends = next((i for i, (a, b) in enumerate(pairwise(frames), 1) if a != b), len(frames))
    names = [str(name) for name in columns["keypoint"]]
    if names != names[:ends] * (len(names) // ends):
        raise ValueError("its keypoints are not the same in every frame")
    table = {
        name: _numbers(columns[name]).reshape(-1, ends)
        for name in ("frame", "time_s", "x_raw", "y_raw", "x_smooth", "y_smooth", "confidence")
    }
    if (table["frame"] != table["frame"][:, :1]).any():
        raise ValueError("its rows are not in the order of the frames")
    return StoredTrack(
        names=tuple(names[:ends]),
        index=table["frame"][:, 0].astype(np.int64),
        time_s=table["time_s"][:, 0],
        raw_px=np.stack([table["x_raw"], table["y_raw"]], -1),
        smooth_px=np.stack([table["x_smooth"], table["y_smooth"]], -1),
        confidence=table["confidence"],
    )


def _numbers(values: Sequence[Any]) -> np.ndarray:
    try:  # a long table's quick way
        return np.array(["nan" if value is None or value == "" else value for value in values]).astype(float)
    except ValueError:
        return np.array([_number(value) for value in values])


def _number(value: Any) -> float:
    if value is None or value == "":
        return float("nan")
    return decimal(value) if isinstance(value, str) else float(value)


def _coco(path: Path) -> StoredTrack:
    plain = read_json(path, AGAIN, BadPrediction)
    images, people = plain["images"], plain["annotations"]
    names = tuple(map(str, plain["categories"][0]["keypoints"]))
    triples = np.array([p["keypoints"] for p in people], float).reshape(len(people), len(names), 3)
    raw = [[_number(value) for value in p["keypoints_raw"]] for p in people]
    known = triples[..., 2:] > 0
    return StoredTrack(
        names=names,
        index=np.array([image["frame"] for image in images], np.int64),
        time_s=np.array([image["time_s"] for image in images], float),
        raw_px=np.array(raw).reshape(len(people), len(names), 2) + 0.5,
        smooth_px=np.where(known, triples[..., :2] + 0.5, np.nan),
        confidence=np.array([p["keypoints_confidence"] for p in people], float),
    )


def _h5(path: Path) -> StoredTrack:
    import h5py

    with h5py.File(path, "r") as file:
        return StoredTrack(
            names=tuple(map(str, file.attrs["keypoints"])),
            index=file["frame"][:].astype(np.int64),
            time_s=file["time_s"][:].astype(float),
            raw_px=file["raw_px"][:].astype(float),
            smooth_px=file["smooth_px"][:].astype(float),
            confidence=file["confidence"][:].astype(float),
        )


_READERS: dict[str, Callable[[Path], StoredTrack]] = {
    "csv": _csv,
    "parquet": _parquet,
    "coco": _coco,
    "h5": _h5,
}
