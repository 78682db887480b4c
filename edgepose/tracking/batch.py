"""The inputs of one command: each written whole, finished ones passed over when the command is repeated.

`edgepose/tracking/archive.py` hands many of them to several processes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeio import Progress, UserError, cores, jobs, leftovers, read_json, sha256_file, write_json
from edgepose.errors import UsageError
from edgepose.inference.estimator import Estimator
from edgepose.inference.flipped import with_flip
from edgepose.inference.runners import open_runner
from edgepose.inference.spec import Runner
from edgepose.tracking.confidence import read_confidence
from edgepose.tracking.overlay import encoder, overlay_image, overlay_video
from edgepose.tracking.pictures import draw_confidence, draw_sheet
from edgepose.tracking.predict import Prediction, PredictSettings, predict_source
from edgepose.tracking.smoothing import parse_smoothing
from edgepose.tracking.sources import Source
from edgepose.tracking.summary import speed, summarise
from edgepose.tracking.tables import FORMATS, TableFormat, check_format, write_table
from edgepose.tracking.tracking import parse_crop, parse_turn
from edgepose.tracking.video import Fingerprint, fingerprint

# A bar for one step of one input: (title, unit) -> update(done, total).
Bars = Callable[[str, str], AbstractContextManager[Progress]]
CALIBRATED_THRESHOLD = 0.5
_MOST_FPS = 100_000
_OF_ITS_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)  # no fault of the disk's


@dataclass(frozen=True)
class PredictRequest:
    """What `edgepose predict` was asked for.

    Attributes:
        smooth: see `parse_smoothing`.
        crop: see `parse_crop`.
        turn: see `parse_turn`.
        format: key of a table format.
        confidence: a file of `calibrate-confidence`, or None.
        abstain_below: None is 0.5 with a confidence file and 0, never, without.
        decode: a decoder's name, or None for the one the model is meant for.
        flip: with the flip test, twice the work a frame.
        fps: frames a second of the videos, or None for the files' own times.
        stride: from one predicted frame of the videos to the next, in frames of the file.
        sample_rate: predict so many frames a second of the videos, by the nearest stride; or None.
        threads: of each interpreter.
        workers: how many frames are predicted at once, each by an interpreter of its own; None is one a core.
    """

    smooth: str = "median:5"
    crop: str = "auto"
    turn: str = "auto"
    format: str = "csv"
    overlay: bool = False
    confidence: Path | None = None
    abstain_below: float | None = None
    decode: str | None = None
    fps: float | None = None
    stride: int = 1
    sample_rate: float | None = None
    threads: int = 1
    workers: int | None = None
    flip: bool = False


@dataclass(frozen=True)
class InputOutcome:
    """What became of one input: its summary, or why there is none.

    Attributes:
        before: an earlier run had finished it.
    """

    source: Source
    summary: dict[str, Any] | None
    error: UserError | None = None
    before: bool = False


@dataclass(frozen=True)
class Run:
    """What all inputs of a command share; made by `open_run`."""

    estimator: Estimator
    settings: PredictSettings
    request: PredictRequest
    form: TableFormat
    out: Path
    overwrite: bool
    bars: Bars


def predict_all(
    model: Path, sources: Sequence[Source], request: PredictRequest, out: Path, overwrite: bool, bars: Bars
) -> list[InputOutcome]:
    """Predict inputs one after another; what is wrong with one does not keep the others from being done.

    Raises:
        UserError: a wrong request, model or confidence file, before any input is read.
        OSError: the output cannot be written.
    """
    check_for_videos(request, sources)
    run = open_run(model, request, out, overwrite, bars)
    return [predict_input(run, source) for source in sources]


def open_run(model: Path, request: PredictRequest, out: Path, overwrite: bool, bars: Bars) -> Run:
    """Open the model, and find out what is wrong with the request before any input is read.

    Raises:
        UserError: a wrong request, model or confidence file.
        OSError: the output cannot be written.
    """
    form = check_format(request.format)
    settings = settings_of(request)
    check_out(out)
    runner = with_flip(open_runner(model, request.threads), request.flip)
    estimator = make_estimator(runner, request.decode, settings)
    return Run(estimator, settings, request, form, out, overwrite, bars)


def predict_input(run: Run, source: Source) -> InputOutcome:
    """Predict one input, or find that it was done; another process that is at it is left alone.

    Raises:
        OSError: the output cannot be written.
    """
    try:
        with jobs.locked(run.out, source.name):
            return _predicted(run, source)
    except UserError as error:
        return InputOutcome(source, None, error)
    except OSError as error:
        if error.errno not in _OF_ITS_NAME:
            raise
        return InputOutcome(source, None, _bad_name(source, error))


def _bad_name(source: Source, error: OSError) -> UserError:
    return UsageError(f"{source.name} cannot be a file's name here ({error.strerror})", "rename the input")


def check_for_videos(request: PredictRequest, sources: Sequence[Source]) -> None:
    """Refuse what is of videos where no input is one; raises UsageError."""
    given = {
        "--fps": request.fps is not None,
        "--stride": request.stride != 1,
        "--sample-rate": request.sample_rate is not None,
    }
    if any(given.values()) and not any(source.kind == "video" for source in sources):
        option = next(name for name, is_given in given.items() if is_given)
        raise UsageError(f"{option} is of videos, and no input is one", "leave it out")


def settings_of(request: PredictRequest) -> PredictSettings:
    """The request, parsed; raises UserError."""
    confidence = None if request.confidence is None else read_confidence(request.confidence)
    below = request.abstain_below
    if below is None:
        below = 0.0 if confidence is None else CALIBRATED_THRESHOLD
    if not 0 <= below <= 1:
        raise UsageError(f"--abstain-below {below:g} is no share", "give a number from 0 to 1")
    fps = request.fps
    if fps is not None and not 0 < fps <= _MOST_FPS:
        raise UsageError(f"--fps {fps:g} is no rate of a camera", f"give frames a second, up to {_MOST_FPS}")
    _check_sampling(request)
    return PredictSettings(
        parse_crop(request.crop),
        parse_turn(request.turn),
        parse_smoothing(request.smooth),
        confidence,
        below,
        request.workers or max(cores() // request.threads, 1),
        fps,
        request.stride,
        request.sample_rate,
    )


def _check_sampling(request: PredictRequest) -> None:
    stride, rate = request.stride, request.sample_rate
    if stride < 1:
        raise UsageError(f"--stride {stride} is no step from frame to frame", "give 1 or more")
    if rate is not None and not 0 < rate <= _MOST_FPS:
        raise UsageError(
            f"--sample-rate {rate:g} is no rate of frames", f"give frames a second, up to {_MOST_FPS}"
        )
    if rate is not None and stride != 1:
        raise UsageError("--stride and --sample-rate both say which frames to predict", "give one of them")


def make_estimator(runner: Runner, decode: str | None, settings: PredictSettings) -> Estimator:
    """An open model, sure to fit the confidence file; raises UserError."""
    estimator = Estimator(runner, decode)
    if settings.confidence is not None:
        settings.confidence.check(estimator.spec, estimator.decoder.name)
    return estimator


def check_out(out: Path) -> None:
    """Find out now, and not after an hour, that nothing can be written."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file", "give a folder")
    out.mkdir(parents=True, exist_ok=True)
    probe = out / f".probe.{os.getpid()}.partial"
    probe.touch()
    probe.unlink(missing_ok=True)  # another machine's process may have this one's number


def _predicted(run: Run, source: Source) -> InputOutcome:
    known = fingerprint(source.paths[0]) if source.kind == "video" else None
    job = _job(run, source)
    summary_path = run.out / f"{source.name}.json"
    finished = _finished(summary_path, job, run.overwrite)
    if finished is not None:
        return InputOutcome(source, finished, before=True)
    sweep(run.out, source.name)
    with run.bars(source.name, "frames") as progress:
        prediction = predict_source(run.estimator, source, run.settings, progress, known)
    summary = summarise(prediction, run.estimator.spec, job, run.settings.confidence is not None)
    summary["outputs"], seconds = _write(run, source, prediction, summary, known)
    summary["speed"] = speed(prediction, seconds, run.request.threads)
    if known is not None:
        summary["source"] = _whereabouts(source.paths[0], run.out, known)
    write_json(summary_path, summary)  # last: it says that all else is there
    return InputOutcome(source, summary)


def _whereabouts(video: Path, out: Path, known: Fingerprint) -> dict[str, Any]:
    """Where `edgepose view` finds the video: from the summary's folder, so that both can be moved together.

    It is in no table, since tables are given away, and folders may be called after children.
    """
    return {
        "path": os.path.relpath(video.resolve(), out.resolve()),
        "size_bytes": known.size_bytes,
        "mtime_ns": known.mtime_ns,
        "sha256": sha256_file(video),
    }


def _job(run: Run, source: Source) -> dict[str, Any]:
    """Everything that the outputs depend on."""
    spec, request = run.estimator.spec, run.request
    digest = hashlib.sha256()
    for path in source.paths:
        digest.update(f"{source.file_name(path)}\0".encode())
        with suppress(OSError):  # it will be listed as unreadable
            digest.update(sha256_file(path).encode())
    return {
        jobs.CODE: jobs.code_sha256(),
        **spec.identity,
        "runtime": spec.runtime,
        "decode": run.estimator.decoder.name,
        "input": digest.hexdigest(),
        "files": len(source.paths),
        "smooth": str(run.settings.smoothing),
        "crop": request.crop,
        "turn": request.turn,
        "abstain_below": run.settings.abstain_below,
        "confidence": None if request.confidence is None else sha256_file(request.confidence),
        "format": run.form.key,
        "overlay": request.overlay,
        "fps": request.fps if source.kind == "video" else None,
        "stride": request.stride if source.kind == "video" else None,
        "sample_rate": request.sample_rate if source.kind == "video" else None,
    }


def _finished(path: Path, job: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """The summary of the same job, if all its outputs are there; another job's is not overwritten."""
    if overwrite or not path.exists():
        return None
    found = read_json(path, jobs.OTHERS)
    jobs.check_same(path, found.get("job") if isinstance(found, dict) else None, job)
    try:
        whole = all((path.parent / name).exists() for name in found["outputs"].values())
    except (KeyError, TypeError, AttributeError):
        whole = False
    return found if whole else None


def sweep(out: Path, name: str) -> None:
    """Remove what a killed run left half written for this input, whose name the caller has locked."""
    forms = [f for form in FORMATS.values() for f in (form, form.beside) if f is not None]
    tails = (".json", "-sheet.png", "-confidence.png", "-overlay.mp4", "-overlay.png")
    for path in leftovers(out, [name + tail for tail in (*tails, *(form.suffix for form in forms))]):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _write(
    run: Run, source: Source, prediction: Prediction, summary: dict[str, Any], known: Fingerprint | None
) -> tuple[dict[str, str], dict[str, float]]:
    """Write everything but the summary; the names of the files by what they are, and the seconds taken."""
    name, track = source.name, prediction.track
    outputs = {
        "table": f"{name}{run.form.suffix}",
        "contact_sheet": f"{name}-sheet.png",
        "confidence": f"{name}-confidence.png",
    }
    started = time.perf_counter()
    write_table(track, summary, run.out / outputs["table"], run.form)
    if (beside := run.form.beside) is not None:
        outputs[f"table_{beside.key}"] = f"{name}{beside.suffix}"
        write_table(track, summary, run.out / outputs[f"table_{beside.key}"], beside)
    draw_sheet(track, prediction.thumbnails, name, run.out / outputs["contact_sheet"])
    calibrated = run.settings.confidence is not None
    draw_confidence(track, calibrated, run.settings.abstain_below, name, run.out / outputs["confidence"])
    seconds = {"write": time.perf_counter() - started}
    if run.request.overlay:
        started = time.perf_counter()
        outputs["overlay"] = _overlay(run, source, prediction, summary, known)
        seconds["overlay"] = time.perf_counter() - started
    return outputs, seconds


def _overlay(
    run: Run, source: Source, prediction: Prediction, summary: dict[str, Any], known: Fingerprint | None
) -> str:
    """Draw the overlay; its name, a folder's for several images."""
    track = prediction.track
    with run.bars(f"drawing {source.name}", "frames") as progress:
        if known is not None and prediction.times_s is not None:
            name = f"{source.name}-overlay.mp4"
            summary["overlay_encoder"] = encoder()
            overlay_video(
                source.paths[0], known, prediction.times_s, track, run.out / name, progress, prediction.stride
            )
            return name
        paths = {source.file_name(path): path for path in source.paths}
        name = f"{source.name}-overlay" + ("" if len(paths) > 1 else ".png")
        for row, file in enumerate(track.files):
            path = run.out / name / f"{file}.png" if len(paths) > 1 else run.out / name
            overlay_image(paths[file], track, row, path)
            progress(row + 1, len(track))
        return name
