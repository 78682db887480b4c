"""What stands in results.json beside the metrics: model, data, what was left out, cost on this machine."""

from __future__ import annotations

import numpy as np

from edgepose.data.rulers import RULERS
from edgepose.evaluation.speed import SpeedMeasurement
from edgepose.evaluation.subject import Request, Scorable, Subject
from edgepose.inference.spec import ModelSpec
from edgepose.results.results import DataFacts, DetectorFacts, Latency, ModelFacts, Speed


def model_facts(spec: ModelSpec) -> ModelFacts:
    return ModelFacts(
        path_name=spec.path.name,
        sha256=spec.sha256,
        kind="checkpoint" if spec.kind == "checkpoint" else "tflite",
        network=spec.network,
        network_name=spec.network_name,
        keypoints=spec.keypoints.key,
        recipe=spec.recipe,
        output=spec.output,  # type: ignore[arg-type]
        input_size=spec.input_size,
        size_bytes=spec.all_bytes,
        parameters=spec.parameters,
        flops=spec.flops,
        ops=spec.ops,
        float_operators=spec.float_operators,
        deflated_bytes=spec.all_deflated_bytes,
        flip=spec.flip,
    )


def detector_facts(spec: ModelSpec, scored: Scorable) -> DetectorFacts | None:
    """What is said of a model's first stage; None where it has none."""
    if spec.detector is None:
        return None
    nobody = scored.predictions.ids[np.isnan(scored.predictions.predicted_px).all((1, 2))]
    name, digest, size = spec.detector.path.name, spec.detector.sha256, spec.detector.size_bytes
    return DetectorFacts(name, digest, size, tuple(nobody.tolist()))


def data_facts(subject: Subject, request: Request, scored: Scorable) -> DataFacts:
    dataset, points = subject.dataset, subject.dataset.keypoints
    predictions, heads = scored.predictions, scored.heads
    rule = RULERS[heads.ruler].rule
    if heads.ruler == "head":
        rule = f"{points.head_scale:g} x |{' to '.join(points.head_segment or ('none',))}|"
        if any(record.head_length_px is not None for record in subject.records):
            rule = "the data set's own"
    return DataFacts(
        name=dataset.label,
        format=dataset.format,
        sha256=subject.sha256,
        split=request.split if request.limit is None else f"{request.split}, first {request.limit}",
        crop=request.crop,  # type: ignore[arg-type]
        crop_margin=request.margin if request.crop == "person" else None,
        keypoints=points.key,
        scored_keypoints=subject.names,
        near_matched=subject.mapping.near,
        n_images=len(predictions),
        n_keypoints=int(np.isfinite(predictions.annotated_px).all(-1).sum()),
        n_videos=len(np.unique(predictions.videos)),
        excluded=scored.excluded,
        turn=request.turn,  # type: ignore[arg-type]
        ruler=heads.ruler,
        head_length=f"{rule}; images without one: {heads.fallback} ({heads.missing} of {len(heads.px)})",
    )


def speed_facts(cost: SpeedMeasurement) -> Speed:
    return Speed(
        latency_ms=Latency(cost.latency_median, cost.latency_p90, cost.runs, cost.warm_up, cost.threads),
        letterbox_ms=cost.letterbox_median,
        decode_ms=cost.decode_median,
        peak_memory_bytes=cost.peak_memory,
        processor=cost.processor,
        note="this machine's, not a phone's: compare within one run only",
    )
