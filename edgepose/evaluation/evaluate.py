"""Score one model on one data set: predictions, metrics, cost, and everything the numbers depend on."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

import edgepose
from android_harness import counting, phone_cost
from android_harness.counting import measure as measure_on_device
from android_harness.phone import PHONE_DELEGATES, Phone
from android_harness.phone_cost import measure_phone
from edgeio import Progress, jobs, lookup
from edgepose.data.framing import FOUND, Framing
from edgepose.data.human_spread import HumanSpread
from edgepose.errors import UsageError
from edgepose.evaluation.facts import data_facts, detector_facts, model_facts, speed_facts
from edgepose.evaluation.scoring import score_predictions
from edgepose.evaluation.speed import measure
from edgepose.evaluation.subject import Request, Subject, scorable, subject_of
from edgepose.inference.decode import PoseDecoder
from edgepose.inference.device import (
    DeviceRunner,
    TargetDevice,
    device_facts,
    device_job,
    open_target,
    phone_facts,
    phone_speed,
)
from edgepose.inference.estimator import Estimator
from edgepose.inference.finding import predict_found
from edgepose.inference.flipped import with_flip
from edgepose.inference.predictor import Predicted, discard_parts, predict, predict_in_parts
from edgepose.inference.runners import open_runner
from edgepose.inference.spec import FLIP, ModelSpec, Runner
from edgepose.keypoint_file import describe, set_to_plain
from edgepose.keypoints import is_own
from edgepose.results.device_facts import DeviceFacts
from edgepose.results.predictions import save_predictions
from edgepose.results.results import (
    AT,
    DESKTOP,
    PREDICTIONS_NAME,
    RESULTS_NAME,
    Results,
    Speed,
    read_results,
    write_results,
)

_JOB = "job.json"


def evaluate(
    model: Path,
    request: Request,
    out: Path,
    overwrite: bool = False,
    retime: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> tuple[Results, Path]:
    """Score `model` and write `out`/NAME/results.json and predictions.npz.

    A finished run of the same job is returned as it stands, or with its speed measured anew where
    `retime` asks for that; an interrupted one goes on.

    Args:
        say: is told where a finished run stands for this one, and how unknown keypoints are read.

    Returns:
        the results and the path of results.json.

    Raises:
        UserError: bad input; says what and what to do.
    """
    runner = with_flip(open_runner(model, request.threads, counted=True), request.flip)
    decoder = PoseDecoder(runner.spec, request.decode)
    subject = subject_of(runner.spec, request)
    if say is not None and subject.dataset.keypoints.guessed:
        say("\n".join(describe(subject.dataset.keypoints)))
    device = _device(request)
    if device is not None and request.finds:
        raise UsageError("--crop found and --turn found run on this machine only", "leave --target out")
    if retime and device is not None:
        raise UsageError("--retime is of runs on this machine", "leave it out: instructions stay the same")
    name = _name(runner.spec, decoder, device, request.delegate)
    folder = out / name
    job = _job(runner.spec, decoder, subject, request, device)
    with jobs.locked(folder):
        again = jobs.claim(
            folder / _JOB, job, overwrite, lambda: _clear(folder), results=[folder / RESULTS_NAME]
        )
        finished = read_results(folder / RESULTS_NAME) if again and (folder / RESULTS_NAME).exists() else None
        if finished is not None:
            if say is not None and not retime:
                say(f"{name} was scored before by the same job; --overwrite scores it again")
            if retime:
                timed = measure(model, decoder.name, request.threads, request.flip)
                finished = replace(finished, speed=speed_facts(timed))
                write_results(folder / RESULTS_NAME, finished)
            return finished, folder / RESULTS_NAME
        predicted, spec = _predicted(runner, decoder, device, subject, request, folder, progress)
        speed, facts = _cost(runner, decoder, device, request, folder / ".parts" / "cost", predicted)
        results = _write(folder, name, spec, decoder, subject, request, predicted, speed, facts)
        discard_parts(folder / ".parts")
        return results, folder / RESULTS_NAME


def _device(request: Request) -> TargetDevice | None:
    """The device that is asked for; raises UnknownName, UsageError for what it cannot do."""
    if request.flip and request.target != DESKTOP:
        raise UsageError("--flip runs on this machine only", "leave --target or --flip out")
    lookup({name: name for name in PHONE_DELEGATES}, "delegate", request.delegate)
    device = open_target(request.target)
    if request.delegate != "xnnpack" and not isinstance(device, Phone):
        raise UsageError(f"--delegate {request.delegate} is for phones", "add --target android")
    return device


def _cost(
    runner: Runner,
    decoder: PoseDecoder,
    device: TargetDevice | None,
    request: Request,
    folder: Path,
    predicted: Predicted,
) -> tuple[Speed | None, DeviceFacts | None]:
    """The `speed` and `device` sections: what the model costs where it ran."""
    model, threads = runner.spec.path, request.threads
    if device is None:
        if not request.speed:
            return None, None
        return speed_facts(measure(model, decoder.name, threads, request.flip)), None
    files = runner.spec.files if request.speed else ()  # every stage's
    if isinstance(device, Phone):
        each = [measure_phone(device, file, folder, threads, request.delegate) for file in files]
        timed = reduce(phone_cost.both, each) if each else None
        facts = phone_facts(device, timed, predicted.differences, runner, threads, request.delegate)
        return phone_speed(device, timed, threads) if timed else None, facts
    counts = [measure_on_device(device, file, folder) for file in files]
    counted = reduce(counting.both, counts) if counts else None
    return None, device_facts(device, counted, predicted.differences, runner, threads)


def _name(spec: ModelSpec, decoder: PoseDecoder, device: TargetDevice | None, delegate: str) -> str:
    """The row's name: the file's, and what is other than usual; a device's stands behind `AT`."""
    decoded = [decoder.name] if decoder.name != spec.decode else []
    model = "-".join([spec.path.stem, *decoded, *([FLIP] if spec.flip else [])])
    if device is None:
        return model
    return AT.join([model, "-".join([device.name, *([delegate] if delegate != "xnnpack" else [])])])


def _predicted(
    runner: Runner,
    decoder: PoseDecoder,
    device: TargetDevice | None,
    subject: Subject,
    request: Request,
    folder: Path,
    progress: Progress | None,
) -> tuple[Predicted, ModelSpec]:
    """Predictions, resumed from an interrupted run's, and the model as it ran."""
    parts = folder / ".parts"
    if request.finds:
        estimator = Estimator(runner, decoder.name)
        crop, turn = request.crop == FOUND, request.turn == FOUND
        found = predict_in_parts(
            lambda part, done: predict_found(
                estimator, part, crop, turn, request.workers, request.strict, done
            ),
            subject.records,
            parts,
            progress or (lambda done, total: None),
        )
        return found, runner.spec
    framing = Framing(request.crop, request.margin, request.turn, subject.dataset.keypoints)
    with ExitStack() as stack:
        running, reference = runner, None
        if device is not None:
            count = len(subject.records)
            remote = DeviceRunner(runner, device, parts / "device", request.threads, count, request.delegate)
            running, reference = stack.enter_context(remote), runner
        predicted = predict_in_parts(
            lambda part, done: predict(
                running, decoder, part, framing, request.workers, request.strict, reference, done
            ),
            subject.records,
            parts,
            progress or (lambda done, total: None),
        )
    return predicted, running.spec


def _job(
    spec: ModelSpec,
    decoder: PoseDecoder,
    subject: Subject,
    request: Request,
    device: TargetDevice | None = None,
) -> dict[str, Any]:
    """Everything that the results depend on, as JSON."""
    points = subject.dataset.keypoints
    said = [dict(record.columns) for record in subject.records]
    without = ("data", "workers", "human", "strict", "target", "delegate", "keypoints", "flip")
    settings = {k: v for k, v in asdict(request).items() if k not in without}
    return {
        **spec.identity,
        "runtime": spec.runtime,
        "data": subject.sha256,
        "left_out": len(subject.dataset.left_out_of(request.split)),
        "scored": list(subject.names),
        **settings,
        **({"keypoint_set": set_to_plain(points)} if is_own(points.key) else {}),
        "decode": decoder.name,
        "human": _plain_human(subject.human),
        **({"columns": hashlib.sha256(json.dumps(said).encode()).hexdigest()} if any(said) else {}),
        **({"device": device_job(device, request.delegate)} if device is not None else {}),
    }


def _plain_human(human: HumanSpread | None) -> dict[str, list[float]] | None:
    return {"h": list(human.h), "h95": list(human.h95)} if human else None


def _clear(folder: Path) -> None:
    """Remove what an earlier run left."""
    for name in (RESULTS_NAME, PREDICTIONS_NAME):
        (folder / name).unlink(missing_ok=True)
    discard_parts(folder / ".parts")


def _write(
    folder: Path,
    name: str,
    spec: ModelSpec,
    decoder: PoseDecoder,
    subject: Subject,
    request: Request,
    predicted: Predicted,
    speed: Speed | None,
    device: DeviceFacts | None,
) -> Results:
    scored = scorable(subject, request, predicted)
    results = Results(
        name=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgepose=edgepose.__version__,
        seed=request.seed,
        model=model_facts(spec),
        data=data_facts(subject, request, scored),
        decode=decoder.name,
        metrics=score_predictions(scored.predictions, subject.dataset.keypoints, subject.human, request.seed),
        speed=speed,
        target=f"{device.kind}:{device.name}" if device else DESKTOP,
        runtime=spec.runtime | {"python": platform.python_version(), "numpy": np.__version__},
        predictions_sha256=save_predictions(folder / PREDICTIONS_NAME, scored.predictions),
        device=device,
        detector=detector_facts(spec, scored),
    )
    write_results(folder / RESULTS_NAME, results)
    return results
