"""The networks of an experiment: taken as they are given, or trained here, each once and resumably.

OUT/networks/NAME/              the training run
OUT/networks/NAME.safetensors   what it kept
OUT/networks/NAME.json          how it was trained, written last: a network that has it is not trained again
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeio import jobs, read_json, replacing, sha256_file, write_json
from edgepose.data.records import Dataset
from edgepose.errors import UsageError
from edgepose.keypoints import IN_MOTION_19
from edgepose.models.pretrained import default_weights
from edgepose.models.variants import variant
from edgepose.paper.experiments import Arm, ExperimentSettings
from edgepose.paper.request import PaperRequest, ProgressReporter
from edgepose.paper.sampling import sample, setup_counts
from edgepose.training.checkpoints import row_text
from edgepose.training.data import NO_VALIDATION, DataRequest, TrainingData, open_training_data
from edgepose.training.fit import fit
from edgepose.training.loop import Listener
from edgepose.training.request import FitRequest
from edgepose.training.runs import RunFolder


@dataclass(frozen=True)
class CompetingModel:
    """A network that is to be scored.

    Attributes:
        network: key of the variant.
        name: unique in the experiment.
        model: checkpoint or .tflite.
        how: where it comes from, for the reader of a report.
        training: what a training here was asked to do, as JSON; empty where there was none.
    """

    network: str
    arm: Arm
    name: str
    model: Path
    how: str
    training: Mapping[str, Any]


def competing_model(
    request: PaperRequest, network: str, arm: Arm, data: Dataset | None, teller: ProgressReporter
) -> CompetingModel:
    """The network trained by an arm; trains it where nothing stands for it.

    Args:
        data: what is trained on; None where every network is given.

    Raises:
        UserError: bad input; a training of other settings is there.
        KeyboardInterrupt: asked to stop; the training's state is saved.
    """
    name, given = arm.name(network), request.networks.get(network)
    if given is not None:
        return CompetingModel(network, arm, name, given, f"given: {given.name}", {})
    start, start_name = starting_point(request, network, arm)
    if arm.images == 0:
        if start is None:
            raise _no_pretraining(request, network)
        return CompetingModel(network, arm, name, start, f"{start_name} as it is, no training here", {})
    if request.settings.project_weights and not request.chosen.varies_training:
        own = default_weights(network, IN_MOTION_19.key)
        if own is not None and network not in request.init:
            return CompetingModel(network, arm, name, own.path, f"{own.name}, which comes with edgepose", {})
    assert data is not None  # PaperRequest.check
    return _trained(request, network, arm, data, start, start_name, teller)


def starting_point(request: PaperRequest, network: str, arm: Arm) -> tuple[Path | None, str]:
    """The checkpoint that a training starts from, and its name for a reader."""
    if not arm.pretrained:
        return None, "nothing"
    if network in request.init:
        path = request.init[network]
        return path, path.name
    own = default_weights(network, IN_MOTION_19.key) if request.settings.project_weights else None
    return (own.path, own.name) if own is not None else (None, "nothing")


def check_pretraining(request: PaperRequest) -> None:
    """Raise UsageError where arms compare pretraining and a network has none."""
    if all(arm.pretrained for arm in request.settings.arms):
        return
    for network in request.keys:
        if starting_point(request, network, Arm())[0] is None:
            raise _no_pretraining(request, network)


def _no_pretraining(request: PaperRequest, network: str) -> UsageError:
    return UsageError(
        f"{request.experiment} compares pretraining, and there is none for {network}",
        f"give --init {network}=MPII.safetensors, or choose other --models",
    )


def fit_request(
    settings: ExperimentSettings, network: str, arm: Arm, data: DataRequest, out: Path, init: Path | None
) -> FitRequest:
    """An arm as a training request."""
    sigma = None
    if settings.short_sigma:
        ends = "hourglass-final" if variant(network).family == "hourglass" else "efficientpose-final"
        sigma = "efficientpose-wide" if init is None else ends
    return FitRequest(
        model=network,
        data=data,
        out=out,
        init=init,
        resolution=settings.resolution,
        epochs=settings.epochs,
        steps_per_epoch=settings.steps_per_epoch,
        batch=arm.batch or settings.batch,
        learning_rate_schedule=settings.schedule,
        sigma_schedule=sigma,
    )


def _trained(
    request: PaperRequest,
    network: str,
    arm: Arm,
    dataset: Dataset,
    start: Path | None,
    start_name: str,
    teller: ProgressReporter,
) -> CompetingModel:
    name = arm.name(network)
    folder = RunFolder(request.out / "networks" / name)
    kept = folder.path.with_name(f"{name}.safetensors")
    validation = "val" if dataset.split("val") else NO_VALIDATION
    data = DataRequest(dataset.name, validation_split=validation)
    training = fit_request(request.settings, network, arm, data, folder.path, start)
    training = replace(training, seed=request.seed, workers=request.workers, overwrite=request.overwrite)
    training_data = _training_data(data, arm, request.seed)
    asked = {
        "settings": training.settings(),
        "data": dataset.label,
        "images": len(training_data.records),
        "setups": setup_counts(training_data.records),
        "init": start_name,
        "init_sha256": sha256_file(start) if start else None,
        jobs.CODE: jobs.code_sha256(),
    }
    how = _told(training, len(training_data.records), start_name)
    if not _finished(kept, asked, request.overwrite):
        teller.say(f"training {name}: {how}")
        best = _fit(training, training_data, teller)
        with replacing(kept) as temporary:
            shutil.copyfile(best, temporary)
        write_json(kept.with_suffix(".json"), {"asked": asked, "sha256": sha256_file(kept)})
    return CompetingModel(network, arm, name, kept, how, asked)


def _training_data(data: DataRequest, arm: Arm, seed: int) -> TrainingData:
    training_data = open_training_data(data)
    if arm.images is None:
        return training_data
    return replace(training_data, records=sample(training_data.records, arm.images, seed))


def _told(fit: FitRequest, images: int, start: str) -> str:
    passes = "pass" if fit.epochs == 1 else "passes"
    length = f"{fit.epochs} {passes} over {images:,} images"
    if fit.steps_per_epoch is not None:
        length = f"{fit.epochs * fit.steps_per_epoch} steps"
    size = fit.resolution or variant(fit.model).resolution
    return f"trained here: {length}, batch {fit.batch}, {size} px, from {start}"


def _finished(kept: Path, asked: Mapping[str, Any], overwrite: bool) -> bool:
    """Whether the network was trained as asked before; one trained otherwise is removed or refused."""
    stamp, run = kept.with_suffix(".json"), kept.with_suffix("")
    if stamp.exists():
        found = read_json(stamp, "add --overwrite, or choose another --out")
        same = isinstance(found, dict) and found.get("asked") == asked
        if same and kept.is_file() and sha256_file(kept) == found.get("sha256"):
            return True
        if not overwrite:
            if not same:
                jobs.check_same(kept, found.get("asked") if isinstance(found, dict) else None, asked)
            raise UsageError(f"{kept} was altered since", "add --overwrite, or choose another --out")
        stamp.unlink()
        shutil.rmtree(run)
    return False


def _fit(request: FitRequest, training_data: TrainingData, teller: ProgressReporter) -> Path:
    """Train, or go on; frees the network that was trained before."""
    from edgepose.frameworks import keras

    keras().backend.clear_session()
    gc.collect()
    listener = Listener(teller.step, lambda row: teller.say(row_text(row)), teller.say)
    return fit(request, listener, training_data)
