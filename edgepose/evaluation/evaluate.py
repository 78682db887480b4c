"""Score one model on one data set: predictions, metrics, cost, and everything the numbers depend on."""

from __future__ import annotations

import hashlib
import json
import platform
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import edgepose
from android_harness.counting import measure as measure_on_device
from android_harness.phone import PHONE_DELEGATES, Phone
from android_harness.phone_cost import measure_phone
from edgeio import UserError, lookup, read_json, write_json
from edgepose.data.collect import reason_kind
from edgepose.data.inputs import DEFAULT_MARGIN, Framing
from edgepose.data.records import SPLITS, Dataset, PoseRecord
from edgepose.data.registry import open_dataset
from edgepose.errors import BadDataset, UsageError
from edgepose.evaluation.device_runner import (
    Device,
    DeviceRunner,
    device_facts,
    device_job,
    open_target,
    phone_facts,
    phone_speed,
)
from edgepose.evaluation.human import HumanSpread
from edgepose.evaluation.metrics import HeadLengths, head_lengths
from edgepose.evaluation.predict import (
    Predicted,
    Progress,
    data_sha256,
    discard_parts,
    predict,
    predict_in_parts,
)
from edgepose.evaluation.runners import ModelSpec, PoseDecoder, Runner, open_runner
from edgepose.evaluation.scoring import score_predictions
from edgepose.evaluation.speed import Cost, measure
from edgepose.keypoints import Mapping, mapping
from edgepose.models.variants import variant
from edgepose.reporting.device_facts import DeviceFacts
from edgepose.reporting.predictions import Predictions, save_predictions
from edgepose.reporting.results import (
    AT,
    DESKTOP,
    PREDICTIONS_NAME,
    RESULTS_NAME,
    SCHEMA_VERSION,
    DataFacts,
    Excluded,
    Latency,
    ModelFacts,
    Results,
    Speed,
    read_results,
    write_results,
)

_JOB = "job.json"
NOT_ANNOTATED = "not annotated"  # a reason to leave an image out that is no fault


@dataclass(frozen=True)
class Request:
    """What to score on, and how.

    Attributes:
        data: `FORMAT:PATH` or a path.
        split: "train", "val", "test" or "all".
        crop, margin: see `Framing`.
        decode: a decoder's name, or None for the one the model is meant for.
        near: also match keypoints that other sets define slightly differently (hip and pelvis).
        fallback: for images without a head length: "exclude" or "median".
        human: a raters' file, or a human.json made of one, that replaces the published human spread.
        limit: score only the first so many images.
        strict: stop at the first unusable image.
        speed: measure latency and memory too; on an emulated device instructions instead of latency.
        target: where the model runs: "desktop", or a device (`device_runner.open_target`).
        delegate: of a phone: "xnnpack", "none", "gpu" or "nnapi".
    """

    data: str
    split: str = "test"
    crop: str = "none"
    margin: float = DEFAULT_MARGIN
    decode: str | None = None
    near: bool = False
    fallback: str = "exclude"
    human: Path | None = None
    limit: int | None = None
    strict: bool = False
    speed: bool = True
    threads: int = 1
    workers: int = 2
    seed: int = 0
    target: str = DESKTOP
    delegate: str = "xnnpack"


@dataclass(frozen=True)
class Subject:
    """The data side of a run: what is scored, by which keypoints, with which rulers."""

    dataset: Dataset
    records: tuple[PoseRecord, ...]
    mapping: Mapping
    human: HumanSpread | None
    sha256: str

    @property
    def names(self) -> tuple[str, ...]:
        """Scored keypoints, in the data set's order."""
        return tuple(self.dataset.keypoints.names[target] for _, target in self.mapping.pairs)


def evaluate(
    model: Path,
    request: Request,
    out: Path,
    overwrite: bool = False,
    retime: bool = False,
    progress: Progress | None = None,
) -> tuple[Results, Path]:
    """Score `model` and write `out`/NAME/results.json and predictions.npz.

    A finished run of the same job is returned as it stands, or with its speed measured anew where
    `retime` asks for that; an interrupted one resumes.

    Returns:
        the results and the path of results.json.

    Raises:
        UserError: bad input; says what and how to mend it.
    """
    runner = open_runner(model, request.threads)
    decoder = PoseDecoder(runner.spec, request.decode)
    subject = _subject(runner.spec, request)
    device = _device(request)
    if retime and device is not None:
        raise UsageError("--retime is of runs on this machine", "leave it out: instructions stay the same")
    name = _name(runner.spec, decoder, device, request.delegate)
    folder = out / name
    job = _job(runner.spec, decoder, subject, request, device)
    finished = _finished(folder, job, overwrite)
    if finished is not None:
        if retime:
            again = measure(model, decoder.name, request.threads)
            finished = replace(finished, speed=_speed(again))
            write_results(folder / RESULTS_NAME, finished)
        return finished, folder / RESULTS_NAME
    predicted, spec = _predicted(runner, decoder, device, subject, request, folder, job, progress)
    speed, facts = _cost(runner, decoder, device, request, folder / ".parts" / "cost", predicted)
    results = _write(folder, name, spec, decoder, subject, request, predicted, speed, facts)
    write_json(folder / _JOB, job)
    discard_parts(folder / ".parts")
    return results, folder / RESULTS_NAME


def _device(request: Request) -> Device | None:
    """The device that is asked for; raises UnknownName, UsageError for a delegate that it has not."""
    lookup({name: name for name in PHONE_DELEGATES}, "delegate", request.delegate)
    device = open_target(request.target)
    if request.delegate != "xnnpack" and not isinstance(device, Phone):
        raise UsageError(f"--delegate {request.delegate} is for phones", "add --target android")
    return device


def _cost(
    runner: Runner,
    decoder: PoseDecoder,
    device: Device | None,
    request: Request,
    folder: Path,
    predicted: Predicted,
) -> tuple[Speed | None, DeviceFacts | None]:
    """The `speed` and `device` sections: what the model costs where it ran."""
    model, threads = runner.spec.path, request.threads
    if device is None:
        return _speed(measure(model, decoder.name, threads) if request.speed else None), None
    if isinstance(device, Phone):
        timed = measure_phone(device, model, folder, threads, request.delegate) if request.speed else None
        facts = phone_facts(device, timed, predicted.differences, runner, threads, request.delegate)
        return phone_speed(device, timed, threads) if timed else None, facts
    counted = measure_on_device(device, model, folder) if request.speed else None
    return None, device_facts(device, counted, predicted.differences, runner, threads)


def _name(spec: ModelSpec, decoder: PoseDecoder, device: Device | None, delegate: str) -> str:
    """The row's name: the file's, and what is other than usual; a device's stands behind `AT`."""
    model = "-".join([spec.path.stem, *([decoder.name] if decoder.name != spec.decode else [])])
    if device is None:
        return model
    return AT.join([model, "-".join([device.name, *([delegate] if delegate != "xnnpack" else [])])])


def _predicted(
    runner: Runner,
    decoder: PoseDecoder,
    device: Device | None,
    subject: Subject,
    request: Request,
    folder: Path,
    job: dict[str, Any],
    progress: Progress | None,
) -> tuple[Predicted, ModelSpec]:
    """Predictions, resumed from an interrupted run's, and the model as it ran."""
    framing, parts = Framing(request.crop, request.margin), folder / ".parts"
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
            job,
            progress or (lambda done, total: None),
        )
    return predicted, running.spec


def _subject(spec: ModelSpec, request: Request) -> Subject:
    if request.split not in (*SPLITS, "all"):
        raise UsageError(f"unknown split '{request.split}'", f"known: {', '.join(SPLITS)}, all")
    dataset = open_dataset(request.data)
    left_out = dataset.left_out_of(request.split)
    bad = [entry for entry in left_out if reason_kind(entry.reason) != NOT_ANNOTATED]
    if request.strict and bad:
        raise BadDataset(f"{dataset.name}: {bad[0].name} ({bad[0].reason})", "mend it, or leave --strict out")
    records = dataset.split(request.split)[: request.limit]
    if not records:
        raise BadDataset(f"{dataset.name} has no image in split '{request.split}'", "choose another --split")
    return Subject(
        dataset,
        records,
        mapping(spec.keypoints, dataset.keypoints, request.near),
        _human(dataset, request.human),
        data_sha256(records, request.workers),
    )


def _human(dataset: Dataset, raters: Path | None) -> HumanSpread | None:
    """The raters' own spread where given; the published one only for the set it was measured on."""
    if raters is not None:
        from edgepose.evaluation.raters import human_spread

        return human_spread(raters, dataset.keypoints)
    from edgepose.evaluation.human import IN_MOTION_HUMAN

    return IN_MOTION_HUMAN if dataset.keypoints.names == IN_MOTION_HUMAN.names else None


def _job(
    spec: ModelSpec,
    decoder: PoseDecoder,
    subject: Subject,
    request: Request,
    device: Device | None = None,
) -> dict[str, Any]:
    """Everything that the results depend on, as JSON."""
    said = [dict(record.columns) for record in subject.records]
    without = ("data", "workers", "human", "strict", "target", "delegate")
    settings = {k: v for k, v in asdict(request).items() if k not in without}
    return {
        "edgepose": edgepose.__version__,
        "model": spec.sha256,
        "runtime": spec.runtime,
        "data": subject.sha256,
        "left_out": len(subject.dataset.left_out_of(request.split)),
        "scored": list(subject.names),
        **settings,
        "decode": decoder.name,
        "human": _plain_human(subject.human),
        **({"columns": hashlib.sha256(json.dumps(said).encode()).hexdigest()} if any(said) else {}),
        **({"device": device_job(device, request.delegate)} if device is not None else {}),
    }


def _plain_human(human: HumanSpread | None) -> dict[str, list[float]] | None:
    return {"h": list(human.h), "h95": list(human.h95)} if human else None


def _finished(folder: Path, job: dict[str, Any], overwrite: bool) -> Results | None:
    """The results of the same job, or None where there are none; another job's are not overwritten."""
    path = folder / RESULTS_NAME
    if overwrite or not path.exists():
        return None
    try:
        same = read_json(folder / _JOB, "") == job
    except UserError:
        same = False
    if not same:
        raise UsageError(f"{path} holds the results of another run", "give another --out, or --overwrite")
    return read_results(path)


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
    sources = [source for source, _ in subject.mapping.pairs]
    targets = [target for _, target in subject.mapping.pairs]
    annotated = np.stack([record.keypoints_px for record in subject.records]).astype(np.float64)
    heads = head_lengths(
        annotated,
        subject.dataset.keypoints,
        [record.head_length_px for record in subject.records],
        request.fallback,
    )
    reasons = _reasons(predicted, heads, annotated[:, targets])
    kept = np.array([not reason for reason in reasons])
    if not kept.any():
        first = next(reason for reason in reasons if reason)
        raise BadDataset(
            f"no image of {subject.dataset.name} could be scored (the first: {first})",
            "see `edgepose data info` for what the data set holds",
        )
    rows = np.flatnonzero(kept)
    predictions = Predictions(
        ids=np.array([subject.records[i].id for i in rows]),
        videos=np.array([subject.records[i].video for i in rows]),
        keypoints=np.array(subject.names),
        predicted_px=predicted.keypoints_px[kept][:, sources],
        annotated_px=annotated[kept][:, targets],
        head_length_px=heads.px[kept],
        confidence=predicted.confidence[kept][:, sources].astype(np.float64),
        image_paths=np.array([str(subject.records[i].image) for i in rows]),
        columns=_columns([subject.records[i] for i in rows]),
    )
    metrics = score_predictions(predictions, subject.dataset.keypoints, subject.human, request.seed)
    root = f"{subject.dataset.root}/"  # results travel; this machine's paths stay here
    left_out = subject.dataset.left_out_of(request.split)
    excluded = [Excluded(e.name, e.reason.replace(root, "")) for e in left_out]
    excluded += [Excluded(r.id, reason) for r, reason in zip(subject.records, reasons, strict=True) if reason]
    results = Results(
        schema_version=SCHEMA_VERSION,
        name=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgepose=edgepose.__version__,
        seed=request.seed,
        model=_model_facts(spec),
        data=_data_facts(subject, request, heads, predictions, tuple(excluded)),
        decode=decoder.name,
        metrics=metrics,
        speed=speed,
        target=f"{device.kind}:{device.name}" if device else DESKTOP,
        runtime=spec.runtime | {"python": platform.python_version(), "numpy": np.__version__},
        predictions_sha256=save_predictions(folder / PREDICTIONS_NAME, predictions),
        device=device,
    )
    write_results(folder / RESULTS_NAME, results)
    return results


def _columns(records: list[PoseRecord]) -> dict[str, np.ndarray]:
    """What the data set says of each image, by column; empty where it says nothing."""
    names = dict.fromkeys(name for record in records for name in record.columns)
    return {name: np.array([record.columns.get(name, "") for record in records], dtype=str) for name in names}


def _reasons(predicted: Predicted, heads: HeadLengths, annotated: np.ndarray) -> list[str]:
    """Why each image is not scored; empty where it is."""
    labelled = np.isfinite(annotated).all(-1).any(-1)
    return [
        reason
        or ("no scored keypoint is annotated" if not any_label else "")
        or ("no head length" if np.isnan(head) else "")
        for reason, any_label, head in zip(predicted.reasons, labelled, heads.px, strict=True)
    ]


def _model_facts(spec: ModelSpec) -> ModelFacts:
    return ModelFacts(
        path_name=spec.path.name,
        sha256=spec.sha256,
        kind="checkpoint" if spec.kind == "checkpoint" else "tflite",
        network=spec.network,
        network_name=variant(spec.network).name,
        keypoints=spec.keypoints.key,
        recipe=spec.recipe,
        output=spec.output,  # type: ignore[arg-type]
        input_size=spec.input_size,
        size_bytes=spec.size_bytes,
        parameters=spec.parameters,
        flops=spec.flops,
        ops=spec.ops,
        float_islands=spec.float_islands,
        deflated_bytes=spec.deflated_bytes,
    )


def _data_facts(
    subject: Subject,
    request: Request,
    heads: HeadLengths,
    predictions: Predictions,
    excluded: tuple[Excluded, ...],
) -> DataFacts:
    dataset, points = subject.dataset, subject.dataset.keypoints
    segment = " to ".join(points.head_segment) if points.head_segment else "none"
    rule = f"{points.head_scale:g} x |{segment}|"
    if any(record.head_length_px is not None for record in subject.records):
        rule = "the data set's own"
    return DataFacts(
        name=dataset.label,
        format=dataset.format,
        sha256=subject.sha256,
        split=request.split if request.limit is None else f"{request.split}, first {request.limit}",
        crop="person" if request.crop == "person" else "none",
        crop_margin=request.margin if request.crop == "person" else None,
        keypoints=points.key,
        scored_keypoints=subject.names,
        near_matched=subject.mapping.near,
        n_images=len(predictions),
        n_keypoints=int(np.isfinite(predictions.annotated_px).all(-1).sum()),
        n_videos=len(np.unique(predictions.videos)),
        excluded=excluded,
        head_length=f"{rule}; images without one: {heads.fallback} ({heads.missing} of {len(heads.px)})",
    )


def _speed(cost: Cost | None) -> Speed | None:
    if cost is None:
        return None
    return Speed(
        latency_ms=Latency(cost.latency_median, cost.latency_p90, cost.runs, cost.warm_up, cost.threads),
        letterbox_ms=cost.letterbox_median,
        decode_ms=cost.decode_median,
        peak_memory_bytes=cost.peak_memory,
        processor=cost.processor,
        note="this machine's, not a phone's: compare within one run only",
    )
