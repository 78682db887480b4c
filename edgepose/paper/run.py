"""One experiment, from what was asked to its report."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import edgepose
from edgeio import write_json
from edgeio.records import to_plain
from edgepose import published
from edgepose.data.human_spread import IN_MOTION_HUMAN, HumanSpread
from edgepose.data.records import Dataset
from edgepose.data.registry import open_dataset
from edgepose.errors import BadDataset, UsageError
from edgepose.evaluation.evaluate import evaluate
from edgepose.evaluation.raters import RaterReport, human_spread, rater_report, read_raters
from edgepose.evaluation.subject import Request
from edgepose.keypoints import IN_MOTION_19, MINI_RGBD_25
from edgepose.models.variants import variant
from edgepose.paper.experiments import SCALES, Arm
from edgepose.paper.networks import CompetingModel, check_pretraining, competing_model
from edgepose.paper.outcome import (
    RESULTS_NAME,
    SCHEMA_VERSION,
    ExperimentData,
    ExperimentOutcome,
    RunResult,
    SpreadRecord,
    TableRow,
)
from edgepose.paper.report import write_report
from edgepose.paper.request import PaperRequest, ProgressReporter
from edgepose.paper.rows import ROWS, Scored, raters_row, spread_of
from edgepose.paper.substitutes import as_mini_rgbd, made_up
from edgepose.results.cells import conditions

DECODE = "upsampled-argmax"  # the paper's: maps bilinearly upsampled to the input's size, the peak of each
_WITH_RATERS = ("table2", "table3", "fig4")


class _Sets:
    """What is trained on, and what is scored, where the user gives them and where infants are made up."""

    def __init__(self, request: PaperRequest, teller: ProgressReporter) -> None:
        built_in = SCALES[request.scale].built_in
        needed = request.data is None or (request.chosen.transfer and request.train_data is None)
        substitute = made_up(built_in, teller.say, teller.step) if built_in and needed else None
        self.training = self._training(request, substitute)
        self.scored = self._scored(request, substitute)
        self.raters = request.raters
        if (
            request.raters is None
            and request.data is None
            and request.experiment in _WITH_RATERS
            and substitute
        ):
            self.raters = substitute / "raters.csv"

    def _training(self, request: PaperRequest, substitute: Path | None) -> Dataset | None:
        spec = request.train_data or (None if request.chosen.transfer else request.data)
        if spec is None and substitute is None:
            return None  # every network is given
        return _checked(open_dataset(spec or f"in-motion:{substitute}"), IN_MOTION_19.key)

    def _scored(self, request: PaperRequest, substitute: Path | None) -> Dataset:
        if request.chosen.transfer:
            if request.data is not None:
                return _checked(open_dataset(request.data), MINI_RGBD_25.key)
            assert substitute is not None and self.training is not None
            source = self.training if request.train_data is None else open_dataset(f"in-motion:{substitute}")
            folder = as_mini_rgbd(source, substitute.with_name(f"{substitute.name}-as-mini-rgbd"))
            return open_dataset(f"mini-rgbd:{folder}")
        return _checked(open_dataset(request.data or f"in-motion:{substitute}"), IN_MOTION_19.key)


def run(request: PaperRequest, teller: ProgressReporter | None = None) -> tuple[ExperimentOutcome, Path]:
    """Run an experiment: train what is missing, score, and write results.json, report and figures.

    Cut off, it goes on where it was when it is run again.

    Returns:
        what results.json says, and the path of report.md.

    Raises:
        UserError: bad input; says what and what to do.
        KeyboardInterrupt: asked to stop; the training's state is saved.
    """
    teller = teller or ProgressReporter()
    request.check()
    check_pretraining(request)
    sets = _Sets(request, teller)
    arms, notes = _arms(request, sets.training)
    report = _rater_report(sets.raters)
    scored = []
    for key in request.keys:
        for arm in arms:
            trained = competing_model(request, key, arm, sets.training, teller)
            scored.append(_score(request, trained, sets, teller))
    rows = ROWS[request.experiment](scored)
    if report is not None and request.experiment == "fig4":
        rows.insert(1, raters_row(report, IN_MOTION_19.names))
    outcome = _outcome(request, sets, scored, rows, [*notes, *_notes(request, scored)])
    write_json(request.folder / RESULTS_NAME, to_plain(outcome))
    return outcome, write_report(outcome, request.folder)


def _checked(dataset: Dataset, keypoints: str) -> Dataset:
    if dataset.keypoints.key != keypoints:
        raise BadDataset(
            f"{dataset.name} has the keypoints {dataset.keypoints.key}, and the paper's are {keypoints}",
            "give a set of those keypoints; `edgepose evaluate` scores any other",
        )
    return dataset


def _arms(request: PaperRequest, training: Dataset | None) -> tuple[tuple[Arm, ...], list[str]]:
    """Those that the training images suffice for, and a note on the others."""
    available = len(training.split("train")) if training else 0
    arms = request.settings.arms
    kept = tuple(arm for arm in arms if arm.images is None or arm.images < available)
    short = sorted({arm.images for arm in arms if arm not in kept and arm.images is not None})
    if not short:
        return kept, []
    counts = ", ".join(f"{n:,}" for n in short)
    return kept, [f"left out: {counts} training images, since there are {available:,}"]


def _rater_report(raters: Path | None) -> RaterReport | None:
    if raters is None or raters.suffix.lower() == ".json":
        return None
    return rater_report(read_raters(raters, IN_MOTION_19))


def _score(request: PaperRequest, trained: CompetingModel, sets: _Sets, teller: ProgressReporter) -> Scored:
    settings = request.settings
    asked = Request(
        data=sets.scored.name,
        split=request.chosen.split,
        decode=DECODE if trained.model.suffix == ".safetensors" else None,
        human=sets.raters,
        limit=settings.limit,
        speed=settings.speed,
        workers=request.workers,
        seed=request.seed,
    )
    teller.say(f"scoring {trained.name}")
    out = request.folder / "scored" / trained.name
    results, path = evaluate(trained.model, asked, out, request.overwrite, progress=teller.step)
    if results.model.network != trained.network:
        raise UsageError(
            f"{trained.model} is of network {results.model.network}, not {trained.network}",
            f"write --models {results.model.network}={trained.model.name}",
        )
    return Scored(trained, results, path)


def _human(sets: _Sets, scored: Sequence[Scored]) -> dict[str, SpreadRecord]:
    """The paper's spread and the raters' own, where networks are held against one."""
    if scored[0].results.metrics.human is None:
        return {}
    found: dict[str, HumanSpread] = {"paper": IN_MOTION_HUMAN}
    if sets.raters is not None:
        found["ours"] = human_spread(sets.raters, IN_MOTION_19)
    return {whose: spread_of(human) for whose, human in found.items()}


def _notes(request: PaperRequest, scored: Sequence[Scored]) -> list[str]:
    notes = []
    if request.experiment == "table2":
        key, printed, mean = published.TABLE_2_MISPRINT
        notes.append(
            f"for all keypoints of {variant(key).name} the paper prints {printed}, which repeats its head "
            f"top; the mean over its keypoints, {mean}, stands here"
        )
    if request.experiment == "table1":
        notes.append(
            "the paper's latency is of a GTX 1080 Ti at batch 128, per image; ours is of one image on the "
            "processor named below"
        )
    if request.experiment == "fig4" and request.raters and request.raters.suffix.lower() == ".json":
        notes.append("a human.json holds no single distances, so its raters are not drawn: give the CSV")
    if request.experiment == "fig5":
        notes.append("every sample is trained for the same number of passes")
        if any(s.competing_model.arm.images and not s.competing_model.training["setups"] for s in scored):
            notes.append("the data set names no setups, so the samples are drawn from all images alike")
    untrained = [
        s.competing_model.name for s in scored if s.competing_model.training.get("init", "") == "nothing"
    ]
    if untrained:
        notes.append(
            f"trained from random weights, where the paper pretrained on MPII: {', '.join(untrained)}"
        )
    return notes


def _outcome(
    request: PaperRequest, sets: _Sets, scored: Sequence[Scored], rows: Sequence[TableRow], notes: list[str]
) -> ExperimentOutcome:
    chosen, data = request.chosen, scored[0].results.data
    return ExperimentOutcome(
        schema_version=SCHEMA_VERSION,
        experiment=chosen.key,
        title=chosen.title,
        question=chosen.question,
        scale=request.scale,
        scale_means=SCALES[request.scale].what,
        paper=f"{published.PAPER}, {published.TRANSFER_SET if chosen.transfer else published.TEST_SET}",
        edgepose=edgepose.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=_command(request),
        seed=request.seed,
        data=ExperimentData(
            data.name,
            data.split,
            data.sha256,
            data.n_images,
            data.n_videos,
            data.scored_keypoints,
            data.head_length,
            len(data.excluded),
        ),
        human=_human(sets, scored),
        networks=tuple(_run_result(s) for s in scored),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _run_result(s: Scored) -> RunResult:
    model, results = s.competing_model, s.results
    return RunResult(
        name=model.name,
        network=model.network,
        arm=model.arm.key,
        how=model.how,
        training=model.training,
        sha256=results.model.sha256,
        input_size=results.model.input_size,
        decode=results.decode,
        runtime=results.runtime,
        speed=conditions(results) if results.speed else None,
    )


def _command(request: PaperRequest) -> str:
    """With file names for paths: reports travel."""
    words = ["edgepose", "paper", request.experiment, "--scale", request.scale]
    for option, spec in (("--data", request.data), ("--train-data", request.train_data)):
        words += [option, _without_way(spec)] if spec else []
    for key, path in request.networks.items():
        words += ["--models", f"{key}={path.name}" if path else key]
    for key, path in request.init.items():
        words += ["--init", f"{key}={path.name}"]
    words += ["--raters", request.raters.name] if request.raters else []
    return shlex.join([*words, "--seed", str(request.seed), "--out", "REPORT"])


def _without_way(spec: str) -> str:
    head, colon, path = spec.rpartition(":")
    return f"{head}{colon}{Path(path).name}"
