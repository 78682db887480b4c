"""Fit a model's confidence curves to an annotated data set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edgeio import Progress, jobs
from edgepose.data.fingerprint import data_sha256
from edgepose.data.framing import DEFAULT_MARGIN, Framing
from edgepose.data.head_length import head_lengths
from edgepose.data.records import Dataset, PoseRecord
from edgepose.data.registry import open_dataset
from edgepose.errors import BadDataset
from edgepose.evaluation.metrics import normalised_distances
from edgepose.inference.decode import PoseDecoder
from edgepose.inference.estimator import Clock, Estimator
from edgepose.inference.flipped import with_flip
from edgepose.inference.predictor import Predicted, predict
from edgepose.inference.runners import open_runner
from edgepose.inference.spec import ModelSpec, Runner
from edgepose.keypoints import mapping
from edgepose.tracking.confidence import (
    METHODS,
    WITHIN,
    Confidence,
    fit,
    read_confidence,
    reliability,
    write_confidence,
)

_PART = 16  # images between two words of progress


@dataclass(frozen=True)
class CalibrationRequest:
    """What to calibrate on.

    Attributes:
        data: `FORMAT:PATH` or a path.
        split: "train", "val", "test" or "all"; images that the network was not trained on.
        crop, margin: see `Framing`; as the predictions will be made.
        decode: a decoder's name, or None for the one the model is meant for.
        near: also match keypoints that the set defines slightly differently.
        flip: with the flip test, as the predictions will be made.
    """

    data: str
    split: str = "val"
    crop: str = "none"
    margin: float = DEFAULT_MARGIN
    decode: str | None = None
    near: bool = False
    threads: int = 1
    workers: int = 2
    seed: int = 0
    flip: bool = False


def calibrate_into(
    model: Path,
    request: CalibrationRequest,
    out: Path,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[Confidence, bool]:
    """Calibrate and write the file, or find that it was done.

    Returns:
        the curves, and whether the same job had made them before.

    Raises:
        OtherJob: the file was made with other settings.
        UserError: as `calibrate_confidence`.
    """
    spec = with_flip(open_runner(model, request.threads), request.flip).spec
    without = ("data", "threads", "workers", "flip")
    records = _records(open_dataset(request.data, spec.keypoints), request.split)
    job = {
        "model_sha256": spec.hashes,
        "runtime": spec.runtime,
        "data_sha256": data_sha256(records, request.workers),
        **{name: value for name, value in asdict(request).items() if name not in without},
        "decode": PoseDecoder(spec, request.decode).name,
    }
    with jobs.one_file(out, job, overwrite) as claimed:
        if claimed.before is not None:
            return read_confidence(out), True
        found = calibrate_confidence(model, request, progress)
        write_confidence(out, found)
        claimed.finish()
        return found, False


def calibrate_confidence(
    model: Path, request: CalibrationRequest, progress: Progress | None = None
) -> Confidence:
    """Predict the images, and fit each keypoint's probability of a hit to its peaks.

    Keypoints of the model that the data set does not annotate take the curve of all.

    Raises:
        UserError: bad input, or no image with keypoints in common and a head length.
    """
    runner = with_flip(open_runner(model, request.threads), request.flip)
    dataset = open_dataset(request.data, runner.spec.keypoints)
    records = _records(dataset, request.split)
    decoder = PoseDecoder(runner.spec, request.decode)
    found = _predicted(runner, decoder, records, request, progress or (lambda done, total: None))
    hit = _hits(runner.spec, dataset, records, found, request.near)
    usable = np.isfinite(hit).any(1)
    if not usable.any():
        raise BadDataset(
            f"no image of {dataset.name} could be judged", "see `edgepose data info` for what the set holds"
        )
    peak, hit = found.confidence[usable].astype(np.float64), hit[usable]
    videos = [record.video for record, good in zip(records, usable, strict=True) if good]
    names = runner.spec.keypoints.names
    empty = _empty_peaks(Estimator(runner, request.decode), request.seed)
    judged = reliability(peak, hit, videos, names, empty, request.seed)
    return Confidence(
        model_sha256=runner.spec.hashes,
        model_name=runner.spec.path.name,
        keypoints=runner.spec.keypoints.key,
        decode=decoder.name,
        curves=fit(peak, hit, names, empty, judged.method if judged else METHODS[0]),
        reliability=judged,
        data={
            "name": dataset.label,
            "split": request.split,
            "crop": request.crop,
            "margin": request.margin if request.crop == "person" else None,
            "images": int(usable.sum()),
            "left_out": int((~usable).sum()),
            "videos": len(set(videos)),
            "seed": request.seed,
            "runtime": runner.spec.runtime,
        },
    )


def _records(dataset: Dataset, split: str) -> tuple[PoseRecord, ...]:
    records = dataset.split(split)
    if not records:
        raise BadDataset(f"{dataset.name} has no image in split '{split}'", "choose another --split")
    return records


def _predicted(
    runner: Runner,
    decoder: PoseDecoder,
    records: tuple[PoseRecord, ...],
    request: CalibrationRequest,
    progress: Progress,
) -> Predicted:
    framing = Framing(request.crop, request.margin)
    parts = []
    for start in range(0, len(records), _PART):
        parts.append(predict(runner, decoder, records[start : start + _PART], framing, request.workers))
        progress(min(start + _PART, len(records)), len(records))
    return Predicted(
        np.concatenate([p.keypoints_px for p in parts]),
        np.concatenate([p.confidence for p in parts]),
        tuple(reason for p in parts for reason in p.reasons),
    )


def empty_pictures(seed: int) -> list[np.ndarray]:
    """Pictures (H, W, 3) uint8 without an infant: plain greys, slopes of grey, and coarse noise."""
    rng, size = np.random.default_rng(seed), (96, 128)
    slope = np.linspace(0, 255, size[1])[None, :]
    greys = [np.full(size, grey) for grey in (0, 128, 235)]
    greys += [np.broadcast_to(slope, size), np.broadcast_to(slope[:, ::-1], size)]
    greys += [np.kron(rng.uniform(0, 255, (12, 16)), np.ones((8, 8))) for _ in range(3)]
    return [np.repeat(grey.astype(np.uint8)[..., None], 3, -1) for grey in greys]


def _empty_peaks(estimator: Estimator, seed: int) -> np.ndarray:
    """(E, K) peaks on pictures without an infant."""
    clock = Clock()
    placed = [estimator.place(picture, None, clock) for picture in empty_pictures(seed)]
    return np.stack([estimator.pose(where, True, clock).peaks for where in placed])


def _hits(
    spec: ModelSpec, dataset: Dataset, records: tuple[PoseRecord, ...], found: Predicted, near: bool
) -> np.ndarray:
    """(N, K) in the model's keypoints: 1 within half a head, 0 not, NaN where that cannot be said."""
    pairs = mapping(spec.keypoints, dataset.keypoints, near).pairs
    annotated = np.stack([record.keypoints_px for record in records]).astype(np.float64)
    heads = head_lengths(annotated, dataset.keypoints, [record.head_length_px for record in records])
    predicted = np.array([not reason for reason in found.reasons])
    rulers = np.where(predicted, heads.px, np.nan)
    hit = np.full((len(records), len(spec.keypoints)), np.nan)
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    points = found.keypoints_px[:, sources]  # where nobody was found, none is within reach
    distance = normalised_distances(points, annotated[:, targets], rulers, allow_missing=True)
    hit[:, sources] = np.where(np.isnan(distance), np.nan, distance <= WITHIN)
    return hit
