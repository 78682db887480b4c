"""A request put together to what the loop runs. Distillation takes the same parts and adds a term."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import edgepose
from edgeio import jobs, sha256_file
from edgepose.codec import Codec
from edgepose.keypoint_file import describe
from edgepose.models.checkpoint import CheckpointInfo, build, read_checkpoint
from edgepose.models.networks import HEAD_WIDTH
from edgepose.models.variants import NORMALISATIONS, Variant, checked_resolution, variant
from edgepose.training.augmentation import AUGMENTATIONS, augmented, normalised
from edgepose.training.averaging import weight_average
from edgepose.training.constraints import NO_CONSTRAINTS, WeightConstraint, WeightConstraints
from edgepose.training.data import TrainingData, open_training_data
from edgepose.training.devices import adam, check_shares, computing, device_count, resolve_precision
from edgepose.training.freezing import freeze_blocks
from edgepose.training.hosts import Share, agree, by_first, from_first, process_count, process_index
from edgepose.training.loop import Listener, LoopSetup, heard, run
from edgepose.training.losses import GroundTruth, Objective, Targets, Term, output_kinds
from edgepose.training.pipeline import Extras, Quota, Stream
from edgepose.training.request import FitRequest
from edgepose.training.runs import RunFolder, check_tensorboard
from edgepose.training.schedules import LEARNING_RATES, SIGMA_SCHEDULES, default_sigma_schedule
from edgepose.training.steppers import StepperSetup
from edgepose.training.warm_start import start_from

_GIB = 1024**3


@dataclass(frozen=True)
class TrainingSetup:
    """The parts of a run, with its folder claimed.

    Attributes:
        training_data: frames and keypoints.
        info: what is trained.
        precision: resolved.
    """

    request: FitRequest
    training_data: TrainingData
    info: CheckpointInfo
    precision: str
    listener: Listener

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.request.out)

    @property
    def variant(self) -> Variant:
        return variant(self.info.model)

    @property
    def input_size(self) -> tuple[int, int]:
        return self.info.resolution, self.info.resolution

    @property
    def map_size(self) -> tuple[int, int]:
        """(height, width) of the maps in cells."""
        cells = self.info.resolution // self.variant.stride
        return cells, cells

    def network(self) -> Any:
        """The network with its first weights: seeded random ones, or those of `init` as far as they fit."""
        from edgepose.frameworks import set_random_seed

        set_random_seed(self.request.seed)
        model = build(self.info)
        if self.request.init is not None and not from_first(self.folder.state.exists()):
            start = start_from(self.request.init, model, self.info)
            self.listener.say(f"started from {self.request.init}; {start}")
        if (blocks := self.request.freeze_blocks) is not None:
            layers = freeze_blocks(model, blocks)
            self.listener.say(f"the backbone's stem and {blocks} blocks are not trained: {layers} layers")
        return model

    def ground_truth(self, model: Any) -> GroundTruth:
        """The paper's loss on the outputs of `network`'s model."""
        segments = self.training_data.keypoints.segment_indices
        targets = Targets(self.input_size, self.map_size, segments, self.request.centre)
        return GroundTruth(targets, output_kinds(model))

    def objective(self, *terms: Term) -> Objective:
        """Terms at the run's sigma."""
        key = self.request.sigma_schedule or default_sigma_schedule(self.variant.family)
        return Objective(terms, SIGMA_SCHEDULES[key], self.map_size[1], self.request.epochs)

    def train(
        self,
        model: Any,
        goal: Objective,
        network: Any = None,
        maps: int = -1,
        extras: Extras | None = None,
        constraints: WeightConstraints = NO_CONSTRAINTS,
        quota: Quota | None = None,
    ) -> Path:
        """Run to the end.

        Args:
            model: what is trained.
            goal: what is minimised.
            network: what the checkpoints hold; None for `model`.
            maps: index among the model's outputs of the maps that are kept.
            extras: more arrays for the graph, see `Stream`.
            constraints: what is done to the weights beside the steps.
            quota: labelled frames in every batch, see `Stream`.

        Returns:
            the checkpoint that scored best, or the last one without validation.
        """
        request = self.request
        stream = self._stream(extras, quota)
        rate = LEARNING_RATES[request.learning_rate_schedule]
        codec = Codec(self.input_size, self.map_size)
        average = None if request.ema is None else weight_average(network or model, request.ema)
        stepper_setup = self._stepper_setup(model, goal, maps, constraints.every_step)
        loop_setup = LoopSetup(
            stepper_setup=replace(stepper_setup, averaged=average.pairs if average else ()),
            network=network or model,
            info=self.info,
            stream=stream,
            scalars=goal.scalars,
            learning_rate=lambda done: request.learning_rate * rate(done),
            epochs=request.epochs,
            steps_per_epoch=request.steps_per_epoch or stream.steps_per_pass,
            accumulate=request.accumulate,
            checkpoint_every=request.checkpoint_every,
            validate=self.training_data.validator(codec, request.batch, request.workers, self._budget),
            folder=self.folder,
            tensorboard=request.tensorboard,
            constraints=constraints,
            average=average,
        )
        progress = run(loop_setup, self.listener)
        return self.folder.last if progress.best_epoch is None else self.folder.best

    @property
    def _budget(self) -> int:
        return int(self.request.memory_gib * _GIB)

    def _stream(self, extras: Extras | None, quota: Quota | None) -> Stream:
        request = self.request
        frames = self.training_data.open_frames(
            self.input_size, request.workers, self._budget, self.listener.step
        )
        augmentation, groups = AUGMENTATIONS[request.augmentation], self.training_data.groups
        share = Share(process_index(), process_count(), request.accumulate)
        return Stream(frames, augmentation, request.batch, request.seed, extras, groups, quota, share)

    def _stepper_setup(
        self, model: Any, goal: Objective, maps: int, constraints: tuple[WeightConstraint, ...]
    ) -> StepperSetup:
        normalisation = NORMALISATIONS[self.variant.normalisation]
        augmentation = AUGMENTATIONS[self.request.augmentation]
        return StepperSetup(
            model=model,
            optimizer=adam(self.precision, self.request.accumulate),
            augment=partial(
                augmented,
                swaps=self.training_data.keypoints.swaps,
                normalisation=normalisation,
                has_colour=augmentation.colour > 0,
                erase=augmentation.erase,
                cutout=augmentation.cutout,
                patches=augmentation.patches,
            ),
            compute=goal,
            normalise=partial(normalised, normalisation=normalisation),
            maps=maps,
            constraints=constraints,
        )


@contextmanager
def open_setup(
    request: FitRequest,
    listener: Listener | None = None,
    binding: Mapping[str, Any] | None = None,
    training_data: TrainingData | None = None,
) -> Iterator[TrainingSetup]:
    """Check a request, read its data, claim its folder; networks built in the block have its precision.

    Args:
        binding: what else decides the result (a teacher's hash), as JSON; a run that goes on is held to it.
        training_data: the frames; None for those that the request's data names.

    Raises:
        UserError: bad input; says what and what to do.
    """
    listener = heard(listener, request.hosts)
    request.check()
    training_data = training_data or open_training_data(request.data)
    if training_data.keypoints.guessed:
        for line in describe(training_data.keypoints):
            listener.say(line)
    if training_data.unlabelled:
        listener.say(f"{training_data.unlabelled} frames without a keypoint of the network are left out")
    if training_data.shared:
        listener.say(
            f"{len(training_data.shared)} pictures that another split has too are left out: see run.json"
        )
    info = _info(request, training_data)
    precision = resolve_precision(request.precision)
    check_shares(request.batch, request.accumulate)
    if request.tensorboard:
        check_tensorboard()
    bound = {**_binding(request, training_data, info, precision), **(binding or {})}
    folder = RunFolder(request.out)
    agree({**bound, jobs.CODE: jobs.code_sha256()})
    with _claimed(folder, bound, request, training_data), computing(precision):
        yield TrainingSetup(request, training_data, info, precision, listener)


@contextmanager
def _claimed(
    folder: RunFolder, bound: Mapping[str, Any], request: FitRequest, training_data: TrainingData
) -> Iterator[None]:
    """The folder is this job's; where several processes train together, process 0 claims it."""
    with ExitStack() as held:

        def claim() -> None:
            held.enter_context(jobs.locked(folder.path))
            stamp, facts = folder.description, _facts(request, training_data)
            jobs.claim(stamp, bound, request.overwrite, folder.clear, facts, results=folder.results)

        by_first(claim)
        yield


def _info(request: FitRequest, training_data: TrainingData) -> CheckpointInfo:
    """What is to be trained: built like the checkpoint that it starts from, where their heads agree."""
    chosen, keypoints = variant(request.model), training_data.keypoints.key
    resolution = checked_resolution(chosen, request.resolution)
    source = f"trained on {len(training_data.records)} frames of {training_data.dataset.format}"
    if request.init is None:
        return CheckpointInfo(chosen.key, keypoints, HEAD_WIDTH, resolution, source)
    theirs, _ = read_checkpoint(request.init)
    width = theirs.head_width if theirs.keypoints == keypoints else HEAD_WIDTH
    source = f"{source}, from: {theirs.source}"
    return CheckpointInfo(chosen.key, keypoints, width, resolution, source, theirs.half_residual)


def _binding(
    request: FitRequest, training_data: TrainingData, info: CheckpointInfo, precision: str
) -> dict[str, Any]:
    from edgepose.frameworks import keras

    return {
        "settings": request.settings(),
        "network": {
            "keypoints": info.keypoints,
            "head_width": info.head_width,
            "resolution": info.resolution,
        },
        "precision": precision,
        "data_sha256": training_data.sha256(request.workers),
        "init_sha256": sha256_file(request.init) if request.init else None,
        "backend": keras().backend.backend(),
        "devices": device_count(),
    }


def _facts(request: FitRequest, training_data: TrainingData) -> dict[str, Any]:
    from edgepose.frameworks import keras

    return {
        "data": training_data.dataset.name,
        "frames": len(training_data.records),
        "validation_frames": len(training_data.validation),
        "unlabelled_frames": training_data.unlabelled,
        "shared_pictures": list(training_data.shared),
        "missing_keypoints": list(training_data.mapping.absent),
        "near_keypoints": list(training_data.mapping.near),
        "init": str(request.init) if request.init else None,
        "edgepose": edgepose.__version__,
        "keras": keras().__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
