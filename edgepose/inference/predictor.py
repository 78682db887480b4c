"""Predictions of one model on many images, kept part by part so that an interrupted run resumes."""

from __future__ import annotations

import shutil
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edgeio import replacing
from edgepose.data.framing import Framing, Input, prepare
from edgepose.data.records import PoseRecord
from edgepose.errors import BadImage
from edgepose.inference.decode import PoseDecoder
from edgepose.inference.spec import Runner, run_each

PART = 64  # images a part: what a kill can cost
Progress = Callable[[int, int], None]  # images done, images in all


@dataclass(frozen=True)
class Differences:
    """How far a runner was from the reference on N images; NaN where the image was left out.

    Attributes:
        identical: (N,) 1 where the outputs agree to the bit, else 0.
        output: (N,) the greatest difference of any element of the output.
        px: (N, K) distances between the two runners' keypoints, in pixels of the original images.
    """

    identical: np.ndarray
    output: np.ndarray
    px: np.ndarray


@dataclass(frozen=True)
class Predicted:
    """Keypoints of N images in pixels of the original images.

    Attributes:
        keypoints_px: (N, K, 2) float64; NaN where the image was left out.
        confidence: (N, K) float32.
        reasons: N texts, empty where the image was predicted, else why not.
        differences: from the reference, where there was one.
    """

    keypoints_px: np.ndarray
    confidence: np.ndarray
    reasons: tuple[str, ...]
    differences: Differences | None = None


def predict(
    runner: Runner,
    decoder: PoseDecoder,
    records: Sequence[PoseRecord],
    framing: Framing,
    workers: int = 2,
    strict: bool = False,
    reference: Runner | None = None,
    done: Callable[[int], None] = lambda count: None,
) -> Predicted:
    """Predict records: a .tflite one by one, as a phone would, a checkpoint in batches.

    Args:
        reference: runs the same inputs, to be compared with.
        done: is told after each image how many are.

    Raises:
        BadImage: with `strict`, the first unusable image.
        BadModel: the model's output holds NaN or infinities.
    """
    k = len(runner.spec.keypoints)
    points, confidence = np.full((len(records), k, 2), np.nan), np.zeros((len(records), k), np.float32)
    differences = Differences(
        *(np.full(shape, np.nan) for shape in (len(records), len(records), points.shape[:2]))
    )
    reasons = [""] * len(records)
    under_way: deque[tuple[int, Input, np.ndarray]] = deque()

    def inputs() -> Iterator[np.ndarray]:
        for i, item in enumerate(prepare(records, runner.spec.input_size, framing, workers)):
            if isinstance(item, Input):
                normalised = runner.spec.normalisation.apply(item.canvas[None])
                under_way.append((i, item, normalised))
                yield normalised
            elif strict:
                raise item[1]
            else:
                reasons[i] = _without_path(item[1], item[0])

    for output in run_each(runner, inputs()):
        i, item, normalised = under_way.popleft()
        points[i], confidence[i] = decoder.in_image(output, item.placed, item.record.image)
        if reference is not None:
            expected = reference.run(normalised)
            differences.identical[i] = output.tobytes() == expected.tobytes()
            differences.output[i] = np.abs(output.astype(np.float64) - expected).max()
            offset = points[i] - decoder.in_image(expected, item.placed, item.record.image)[0]
            differences.px[i] = np.hypot(offset[:, 0], offset[:, 1])
        done(i + 1)
    return Predicted(points, confidence, tuple(reasons), differences if reference else None)


def predict_in_parts(
    predict_part: Callable[[Sequence[PoseRecord], Callable[[int], None]], Predicted],
    records: Sequence[PoseRecord],
    folder: Path,
    progress: Progress,
) -> Predicted:
    """Run `predict_part` on one part after another, skipping those that an earlier run left.

    Args:
        predict_part: takes the records, and what to call with the number of them that are done.
        folder: holds the parts until the caller is done with them (`discard_parts`); the caller has claimed
            it for one job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(records), PART):
        path = folder / f"part-{start:07d}.npz"
        part = _load_part(path)
        if part is None:
            part = predict_part(
                records[start : start + PART], partial(_advance, progress, start, len(records))
            )
            with replacing(path) as temporary:
                np.savez(temporary, **_arrays(part))  # type: ignore[arg-type]
        parts.append(part)
        progress(min(start + PART, len(records)), len(records))
    compared = [p.differences for p in parts if p.differences is not None]
    return Predicted(
        np.concatenate([p.keypoints_px for p in parts]),
        np.concatenate([p.confidence for p in parts]),
        tuple(reason for p in parts for reason in p.reasons),
        _joined(compared) if compared else None,
    )


def _joined(parts: list[Differences]) -> Differences:
    return Differences(
        np.concatenate([p.identical for p in parts]),
        np.concatenate([p.output for p in parts]),
        np.concatenate([p.px for p in parts]),
    )


def _advance(progress: Progress, start: int, total: int, done: int) -> None:
    progress(start + done, total)


def _arrays(part: Predicted) -> dict[str, np.ndarray]:
    arrays = {
        "keypoints_px": part.keypoints_px,
        "confidence": part.confidence,
        "reasons": np.array(part.reasons),
    }
    if part.differences is not None:
        arrays |= vars(part.differences)
    return arrays


def discard_parts(folder: Path) -> None:
    """Remove the parts of a finished run."""
    shutil.rmtree(folder, ignore_errors=True)


def _load_part(path: Path) -> Predicted | None:
    """A part from an earlier run, or None where there is none that can be read."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            reasons = tuple(str(reason) for reason in archive["reasons"])
            compared = None
            if "identical" in archive:
                compared = Differences(archive["identical"], archive["output"], archive["px"])
            return Predicted(archive["keypoints_px"], archive["confidence"], reasons, compared)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _without_path(error: BadImage, record: PoseRecord) -> str:
    """The reason without the machine's path: results travel."""
    return error.what.replace(str(record.image), record.image.name)
