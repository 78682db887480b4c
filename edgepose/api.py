"""edgepose in a notebook: `edgepose.load(MODEL).predict(image_or_video)` and `edgepose.evaluate(...)`.

    import edgepose

    model = edgepose.load("default:rt-lite")
    found = model.predict("clip.mp4", smooth="savgol:9,2")
    found.track.smooth_px      # (N, K, 2) x, y in pixels of the upright frames; NaN where abstained
    found.track.time_s         # (N,) when each frame was shown, s
    found.warnings, found.skipped

Nothing is written to disk. `edgepose predict` writes the same numbers, with pictures to check them by.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from edgeio import Progress
from edgepose.data.framing import DEFAULT_MARGIN
from edgepose.errors import UsageError
from edgepose.evaluation.evaluate import evaluate as score
from edgepose.evaluation.subject import Request
from edgepose.inference.flipped import with_flip
from edgepose.inference.runners import open_runner
from edgepose.inference.spec import ModelSpec
from edgepose.models.pretrained import model_path
from edgepose.results.results import Results
from edgepose.tracking.batch import PredictRequest, make_estimator, settings_of
from edgepose.tracking.predict import Prediction, predict_array, predict_source
from edgepose.tracking.sources import find_sources

__all__ = ["Model", "Prediction", "evaluate", "load"]


def load(model: str | Path, threads: int = 1, flip: bool = False) -> Model:
    """Open a model.

    Args:
        model: a .tflite with its sidecar, a .safetensors checkpoint, or `default:MODEL`.
        threads: of the runtime.
        flip: predict with the flip test, at twice the cost.

    Raises:
        UserError: missing or unusable; says what and what to do.
    """
    return Model(model_path(model), threads, flip)


class Model:
    """An open model; made by `load`."""

    def __init__(self, path: Path, threads: int, flip: bool) -> None:
        self._runner = with_flip(open_runner(path, threads), flip)

    @property
    def spec(self) -> ModelSpec:
        """What is known of the model: network, keypoints, input size, SHA-256."""
        return self._runner.spec

    @property
    def keypoints(self) -> tuple[str, ...]:
        """K names, in the order of every array."""
        return self.spec.keypoints.names

    def predict(
        self,
        image_or_video: str | Path | np.ndarray,
        smooth: str = PredictRequest.smooth,
        crop: str = PredictRequest.crop,
        turn: str = PredictRequest.turn,
        confidence: str | Path | None = None,
        abstain_below: float | None = None,
        decode: str | None = None,
        fps: float | None = None,
        stride: int = 1,
        sample_rate: float | None = None,
        progress: Progress | None = None,
    ) -> Prediction:
        """Predict an image, a folder of images or a video.

        Args:
            image_or_video: a path, or a picture (H, W, 3) uint8 RGB.
            smooth: median:WINDOW, savgol:WINDOW,ORDER or none; videos only.
            crop: auto (find the infant and follow it), none, or x,y,w,h in pixels.
            turn: degrees clockwise, 0, 90, 180 or 270; or auto, by which the network is surest.
            confidence: a file of `edgepose calibrate-confidence`.
            abstain_below: leave less confident keypoints out; default 0.5 with a confidence file, else 0.
            decode: a decoder's name, or None for the model's own.
            fps: frames a second of a video, where its own times are wrong; None takes those.
            stride: from one predicted frame of a video to the next; 1 predicts all.
            sample_rate: frames a second of a video to predict, by the nearest stride.
            progress: called with frames done and frames in all.

        Raises:
            UserError: bad input; says what and what to do.
        """
        curves = None if confidence is None else Path(confidence)
        settings = settings_of(
            PredictRequest(
                smooth,
                crop,
                turn,
                confidence=curves,
                abstain_below=abstain_below,
                decode=decode,
                fps=fps,
                stride=stride,
                sample_rate=sample_rate,
            )
        )
        estimator = make_estimator(self._runner, decode, settings)
        if isinstance(image_or_video, np.ndarray):
            return predict_array(estimator, image_or_video, settings)
        found = find_sources([image_or_video]).found
        if len(found) != 1:
            names = ", ".join(source.name for source in found[:4])
            raise UsageError(
                f"{image_or_video} holds {len(found)} inputs ({names}...)", "predict them one by one"
            )
        return predict_source(estimator, found[0], settings, progress or (lambda done, total: None))


def evaluate(
    model: str | Path,
    data: str | Path,
    split: str = "test",
    crop: str = "none",
    margin: float = DEFAULT_MARGIN,
    decode: str | None = None,
    near: bool = False,
    limit: int | None = None,
    speed: bool = False,
    threads: int = 1,
    flip: bool = False,
    out: str | Path | None = None,
) -> Results:
    """Score a model on a data set, as `edgepose evaluate` does.

    Args:
        model: as for `load`.
        data: `FORMAT:PATH`, or a path whose layout is known.
        split: train, val, test or all.
        crop: none, the whole image; or person, the labelled keypoints plus `margin`.
        near: also match keypoints of slightly different definitions (hip, pelvis).
        limit: score only the first so many images.
        speed: measure latency and memory too.
        flip: score with the flip test, at twice the cost.
        out: where to keep results.json and predictions.npz; None keeps nothing.

    Returns:
        the results: `.metrics.overall.scores["pckh@0.5"]` and all else that results.json holds.

    Raises:
        UserError: bad input; says what and what to do.
    """
    request = Request(
        str(data),
        split,
        crop,
        margin,
        decode=decode,
        near=near,
        limit=limit,
        speed=speed,
        threads=threads,
        flip=flip,
    )
    path = model_path(model)
    if out is not None:
        return score(path, request, Path(out))[0]
    with tempfile.TemporaryDirectory() as folder:
        return score(path, request, Path(folder))[0]
