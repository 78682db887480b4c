"""The paper's experiments: their table, sampling, Table 6's head rule, requests, training and reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny_runs
from PIL import Image
from typer.testing import CliRunner

from edgeio import UnknownName
from edgeio.jobs import OtherJob
from edgeio.records import to_plain
from edgepose.cli import app
from edgepose.data.head_length import head_lengths
from edgepose.data.human_spread import IN_MOTION_HUMAN
from edgepose.data.records import PoseRecord
from edgepose.data.registry import open_dataset
from edgepose.errors import BadDataset, UsageError
from edgepose.evaluation.metrics import normalised_distances
from edgepose.evaluation.raters import RaterSet, rater_report
from edgepose.evaluation.subject import Request
from edgepose.keypoints import COMMON_12, IN_MOTION_19, MINI_RGBD_25, mapping
from edgepose.models import pretrained as defaults
from edgepose.models import profile
from edgepose.models.variants import checked_resolution, variant
from edgepose.paper import networks as networks_module
from edgepose.paper import run as run_module
from edgepose.paper.experiments import EXPERIMENTS, FULL, MINIATURE, SCALES, Arm, experiment, settings_at
from edgepose.paper.figures import FIGURES
from edgepose.paper.networks import CompetingModel, check_pretraining, fit_request
from edgepose.paper.outcome import SCHEMA_VERSION, ExperimentData, ExperimentOutcome, RunResult, TableRow
from edgepose.paper.report import write_report
from edgepose.paper.request import PaperRequest, ProgressReporter, init_paths, named_paths
from edgepose.paper.rows import ROWS, Scored, raters_row, spread_of
from edgepose.paper.run import run
from edgepose.paper.sampling import sample, setup_counts
from edgepose.paper.substitutes import as_mini_rgbd
from edgepose.paper.tables import TABLES
from edgepose.reporting.document import Table
from edgepose.results.results import Results, read_results
from edgepose.training.data import DataRequest, TrainingData
from edgepose.training.request import FitRequest


class TestTable:
    def test_every_experiment_has_rows_tables_and_a_figure(self) -> None:
        assert set(EXPERIMENTS) == set(ROWS) == set(TABLES) == set(FIGURES)

    @pytest.mark.parametrize("key", EXPERIMENTS)
    def test_every_scale_can_be_asked_for(self, key: str) -> None:
        assert set(EXPERIMENTS[key].scales) == set(SCALES)
        for settings in EXPERIMENTS[key].scales.values():
            assert len({arm.key for arm in settings.arms}) == len(settings.arms)
            for network in settings.networks:
                checked_resolution(variant(network), settings.resolution)
                for arm in settings.arms:
                    for init in (None, Path("x.safetensors")):
                        fit_request(settings, network, arm, DataRequest("x"), Path("out"), init).check()

    def test_full_is_the_papers_protocol(self) -> None:
        for chosen in EXPERIMENTS.values():
            settings = chosen.scales[FULL]
            made = fit_request(settings, "rt", Arm(), DataRequest("x"), Path("out"), None)
            assert (made.epochs, made.steps_per_epoch, made.learning_rate) == (100, None, 1e-3)
            assert (made.learning_rate_schedule, made.augmentation) == ("constant", "paper")
            assert (made.resolution, made.sigma_schedule) == (None, None)

    def test_help_names_them_all(self) -> None:
        shown = CliRunner().invoke(app, ["paper", "--help"]).output
        assert all(key in shown for key in EXPERIMENTS) and all(key in shown for key in SCALES)

    def test_unknown_names_list_the_known(self) -> None:
        with pytest.raises(UnknownName, match=r"unknown experiment 'table4'.*table1, table2.*fig5"):
            experiment("table4")
        with pytest.raises(UnknownName, match=r"unknown scale 'tiny'.*miniature"):
            settings_at(EXPERIMENTS["table1"], "tiny")


def records(*setups: str) -> list[PoseRecord]:
    return [
        PoseRecord(f"{i}", Path(f"{i}.jpg"), np.zeros((19, 2)), f"v{i}", "train", columns={"setup": setup})
        for i, setup in enumerate(setups)
    ]


class TestSampling:
    mixed = records(*(["clinic"] * 60 + ["home"] * 30 + ["lab"] * 10))

    @pytest.mark.parametrize("count", [1, 7, 10, 33, 99, 100])
    def test_setups_keep_their_shares(self, count: int) -> None:
        found = setup_counts(sample(self.mixed, count))
        assert sum(found.values()) == count
        for setup, total in (("clinic", 60), ("home", 30), ("lab", 10)):
            assert abs(found.get(setup, 0) - count * total / 100) <= 1

    def test_larger_samples_hold_smaller_ones(self) -> None:
        taken = [{r.id for r in sample(self.mixed, count, seed=3)} for count in (5, 20, 21, 80)]
        assert all(small < large for small, large in pairwise(taken))

    def test_seeded_and_in_the_data_sets_order(self) -> None:
        ids = [int(r.id) for r in sample(self.mixed, 20, seed=1)]
        assert ids == sorted(ids) == [int(r.id) for r in sample(self.mixed, 20, seed=1)]
        assert ids != [int(r.id) for r in sample(self.mixed, 20, seed=2)]

    def test_without_setups_all_is_one_setup(self) -> None:
        plain = [replace(record, columns={}) for record in self.mixed]
        assert len(sample(plain, 40)) == 40 and setup_counts(plain) == {}

    @pytest.mark.parametrize("count", [0, -1, 101])
    def test_impossible_counts(self, count: int) -> None:
        with pytest.raises(UsageError, match="give 1 to 100"):
            sample(self.mixed, count)


class TestTransfer:
    """Table 6: MINI-RGBD's 12 common keypoints, and a head of twice the distance from nose to upper neck."""

    def test_keypoints_and_head_rule_through_the_reader(self, tmp_path: Path) -> None:
        root = tiny_runs.make_data(tmp_path / "infants", val=1)
        infants = open_dataset(f"in-motion:{root}")
        found = open_dataset(f"mini-rgbd:{as_mini_rgbd(infants, tmp_path / 'mini', split='train')}")
        assert len(found.records) == 10 and {r.video for r in found.records} == {
            f"{n:02d}" for n in range(1, 11)
        }
        scored = mapping(IN_MOTION_19, MINI_RGBD_25)
        assert {MINI_RGBD_25.names[target] for _, target in scored.pairs} == set(COMMON_12)
        original = np.stack([r.keypoints_px for r in infants.split("train")])
        copied = np.stack([r.keypoints_px for r in found.records])
        sources, targets = (list(side) for side in zip(*scored.pairs, strict=True))
        np.testing.assert_allclose(copied[:, targets], original[:, sources], atol=1e-5)
        nose, neck = (original[:, IN_MOTION_19.index(name)] for name in ("nose", "upper_neck"))
        rule = 2 * np.linalg.norm(nose - neck, axis=-1)
        heads = head_lengths(copied, found.keypoints).px
        np.testing.assert_allclose(heads, rule, atol=1e-4)
        # A tenth of that head off is on PCKh@0.1's border, by hand.
        off = copied[:, targets] + np.array([0.1, 0])[None, None] * rule[:, None, None]
        np.testing.assert_allclose(normalised_distances(off, copied[:, targets], heads), 0.1, atol=1e-6)

    def test_pictures_are_the_same_and_nothing_is_written_twice(self, tmp_path: Path) -> None:
        root = tiny_runs.make_data(tmp_path / "infants", val=1)
        infants = open_dataset(f"in-motion:{root}")
        out = as_mini_rgbd(infants, tmp_path / "mini")
        first = next(out.glob("01/rgb/*.png"))
        with Image.open(first) as a, Image.open(infants.split("test")[0].image) as b:
            assert np.array_equal(np.asarray(a), np.asarray(b))
        before = first.stat().st_mtime_ns
        assert as_mini_rgbd(infants, out) == out and first.stat().st_mtime_ns == before

    def test_another_data_set_is_refused(self, tmp_path: Path) -> None:
        root = tiny_runs.make_data(tmp_path / "infants")
        model = tmp_path / "rt.safetensors"
        model.write_bytes(b"never read")
        request = PaperRequest("table6", tmp_path / "out", FULL, f"in-motion:{root}", networks={"rt": model})
        with pytest.raises(BadDataset, match="in-motion-19, and the paper's are mini-rgbd-25"):
            run(request)


class TestRequest:
    def test_models_and_starts(self, tmp_path: Path) -> None:
        assert named_paths(["rt=a/b.safetensors", "i"], "--models") == {
            "rt": Path("a/b.safetensors"),
            "i": None,
        }
        assert init_paths(["b4=x"]) == {"b4": Path("x")}

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["rt", "rt=x"], "names a network twice"),
            (["=x"], "is neither KEY nor KEY=CHECKPOINT"),
            (["rt="], "is neither KEY nor"),
        ],
    )
    def test_bad_words(self, words: list[str], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            named_paths(words, "--models")

    def test_unknown_network_and_default(self) -> None:
        with pytest.raises(UnknownName, match="unknown model 'v'"):
            named_paths(["v"], "--models")
        with pytest.raises(UnknownName, match="default:b4"):
            named_paths(["b4=default:b4"], "--models")
        with pytest.raises(UsageError, match="names no checkpoint"):
            init_paths(["rt"])

    def test_what_can_never_work(self, tmp_path: Path) -> None:
        model = tmp_path / "rt.safetensors"
        model.write_bytes(b"x")
        asked = PaperRequest("table1", tmp_path, MINIATURE)
        asked.check()
        with pytest.raises(UsageError, match="needs --data"):
            replace(asked, scale=FULL).check()
        with pytest.raises(UsageError, match=r"absent\.csv does not exist"):
            replace(asked, raters=tmp_path / "absent.csv").check()
        with pytest.raises(UsageError, match=r"absent\.safetensors does not exist"):
            replace(asked, networks={"rt": tmp_path / "absent.safetensors"}).check()
        with pytest.raises(UsageError, match="table5 trains every network itself"):
            replace(asked, experiment="table5", networks={"rt": model}).check()
        with pytest.raises(UsageError, match="nothing to train i on"):
            changes = {"experiment": "table6", "scale": FULL, "data": "mini-rgbd:x"}
            replace(asked, **changes, networks={"rt": model, "i": None}).check()
        with pytest.raises(UsageError, match="leave --raters out"):
            replace(asked, experiment="table6", raters=model).check()
        with pytest.raises(UsageError, match="seed"):
            replace(asked, seed=-1).check()

    def test_sample_efficiency_needs_pretraining(self, tmp_path: Path) -> None:
        asked = PaperRequest("fig5", tmp_path, FULL, "in-motion:x")
        with pytest.raises(UsageError, match="none for rt; give --init rt="):
            check_pretraining(asked)
        check_pretraining(replace(asked, init={"rt": Path("a"), "b4": Path("b")}))
        check_pretraining(replace(asked, experiment="table1"))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network is a few hundred weights, trained for three steps, and costs nothing to count."""
    tiny_runs.use(monkeypatch)
    monkeypatch.setattr(profile, "inference_cost", lambda info: profile.InferenceCost(7, 9))
    assert not defaults.DEFAULT_WEIGHTS


@pytest.fixture(scope="module")
def infants(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"in-motion:{tiny_runs.make_data(tmp_path_factory.mktemp('data') / 'infants')}"


def never(*_: object) -> Path:
    raise AssertionError("trained again")


@pytest.mark.usefixtures("tiny")
class TestRun:
    def test_batch_size_from_data_to_report_and_resumed(
        self, infants: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = PaperRequest("table5", tmp_path / "out", MINIATURE, infants)
        calls = []
        real = networks_module._fit

        def stopped(fit: object, training_data: object, teller: ProgressReporter) -> Path:
            calls.append(fit.out.name)  # type: ignore[attr-defined]
            if len(calls) == 2:
                raise KeyboardInterrupt
            return real(fit, training_data, teller)  # type: ignore[arg-type]

        monkeypatch.setattr(networks_module, "_fit", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(asked)
        said: list[str] = []
        outcome, report = run(asked, ProgressReporter(said.append))
        assert calls == ["rt-batch16", "rt-batch4", "rt-batch4"], "the finished one is not trained again"
        whose = [(r.whose, r.network, r.arm) for r in outcome.rows if r.network == "rt"]
        assert whose == [
            ("paper", "rt", "table1"),
            ("paper", "rt", "batch4"),
            ("ours", "rt", "batch16"),
            ("ours", "rt", "batch4"),
        ]
        assert [run_result.training["settings"]["batch"] for run_result in outcome.networks] == [16, 4]
        text = report.read_text(encoding="utf-8")
        assert "| ours, miniature: EfficientPose RT, batch 4 |" in text
        assert "| paper: EfficientPose RT, batch 4 | 99.80 | 99.32 | 92.93 | 72.50 | 27.88 | 0.1717 |" in text
        assert "trained from random weights" in text and str(tmp_path) not in text
        plain = json.loads(report.with_name("results.json").read_text(encoding="utf-8"))
        assert plain == to_plain(outcome) and plain["scale"] == MINIATURE
        assert (report.parent / "figures/table5.png").stat().st_size > 10_000
        monkeypatch.setattr(networks_module, "_fit", never)
        assert run(asked)[0].rows == outcome.rows

    def test_transfer_scores_twelve_keypoints_by_mini_rgbds_rule(
        self, infants: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        teacher = tiny_runs.make_teacher(tmp_path / "x.safetensors", resolution=64)
        monkeypatch.setattr(networks_module, "_fit", lambda *_: teacher)
        mini = as_mini_rgbd(open_dataset(infants), tmp_path / "mini", split="train")
        asked = PaperRequest("table6", tmp_path / "out", MINIATURE, f"mini-rgbd:{mini}", infants)
        outcome, report = run(replace(asked, networks={"rt": None}))
        assert set(outcome.data.scored_keypoints) == set(COMMON_12) and outcome.data.n_images == 10
        assert outcome.data.head_length.startswith("2 x |nose to upper_neck|")
        assert outcome.networks[0].training["data"] == "in-motion:infants"
        text = report.read_text(encoding="utf-8")
        assert "| paper: EfficientPose RT | 94.98 | 91.28 | 86.91 | 79.98 | 53.83 | 0.2135 |" in text
        assert "--train-data in-motion:infants" in text and "Human spread: –" in text


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch, score_into: Callable[..., Path]) -> list[FitRequest]:
    """Trainings write their seed and scores are noise; returns the trainings that were asked for."""
    asked: list[FitRequest] = []

    def fit(request: FitRequest, training_data: TrainingData, teller: ProgressReporter) -> Path:
        asked.append(request)
        request.out.mkdir(parents=True, exist_ok=True)
        path = request.out / "best.safetensors"
        path.write_text(f"seed {request.seed}")
        return path

    def evaluate(model: Path, request: Request, out: Path, *_: object, **__: object) -> tuple[Results, Path]:
        path = score_into(out, model.stem, model={"network": out.name.split("-")[0]})
        return read_results(path), path

    monkeypatch.setattr(defaults, "DEFAULT_WEIGHTS", {})
    monkeypatch.setattr(networks_module, "_fit", fit)
    monkeypatch.setattr(run_module, "evaluate", evaluate)
    return asked


class TestFolders:
    def test_a_network_is_trained_once_and_shared_by_experiments(
        self, infants: str, tmp_path: Path, seeded: list[FitRequest]
    ) -> None:
        asked = PaperRequest("table1", tmp_path / "out", MINIATURE, infants, networks={"rt": None})
        run(asked)
        run(asked)
        run(replace(asked, experiment="table3"))
        assert len(seeded) == 1 and seeded[0].model == "rt" and seeded[0].epochs == 1

    def test_other_settings_are_not_mixed(
        self, infants: str, tmp_path: Path, seeded: list[FitRequest]
    ) -> None:
        asked = PaperRequest("table1", tmp_path / "out", MINIATURE, infants, networks={"rt": None})
        run(asked)
        other = replace(asked, seed=1)
        with pytest.raises(OtherJob, match=r"settings\.seed: was 0, now 1; .*--overwrite"):
            run(other)
        kept = tmp_path / "out/networks/rt.safetensors"
        assert kept.read_text() == "seed 0"
        run(replace(other, overwrite=True))
        assert kept.read_text() == "seed 1" and len(seeded) == 2
        kept.write_text("junk")
        with pytest.raises(UsageError, match="altered since"):
            run(other)

    def test_samples_with_and_without_pretraining(
        self, infants: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeded: list[FitRequest]
    ) -> None:
        start = tmp_path / "start.safetensors"
        start.write_bytes(b"MPII")
        arms = (Arm("0-pretrained", images=0), Arm("4-scratch", images=4, pretrained=False), Arm())
        small = {MINIATURE: replace(EXPERIMENTS["fig5"].scales[MINIATURE], arms=arms)}
        monkeypatch.setitem(EXPERIMENTS, "fig5", replace(EXPERIMENTS["fig5"], scales=small))
        asked = PaperRequest("fig5", tmp_path / "out", MINIATURE, infants, init={"rt": start})
        outcome, report = run(asked)
        ours = [(r.values["images"], r.values["pretrained"]) for r in outcome.rows_of("ours")]
        assert ours == [(0, 1.0), (4, 0.0), (10, 1.0)]
        assert [fit.init for fit in seeded] == [None, start]
        assert [r.values["images"] for r in outcome.rows_of("paper")] == [14_483]
        text = report.read_text(encoding="utf-8")
        assert "| ours, miniature: EfficientPose RT | 4 | from nothing |" in text
        assert "names no setups" in text

    def test_samples_larger_than_the_data_are_left_out_and_told(self, infants: str, tmp_path: Path) -> None:
        asked = PaperRequest("fig5", tmp_path, MINIATURE, infants)
        arms, notes = run_module._arms(asked, open_dataset(infants))
        assert [arm.key for arm in arms] == ["0-pretrained", "", "all-scratch"]
        assert notes == ["left out: 12 training images, since there are 10"]

    @pytest.mark.usefixtures("seeded")
    def test_a_checkpoint_of_another_network_is_refused(
        self, infants: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, score_into: Callable[..., Path]
    ) -> None:
        other = tmp_path / "x.safetensors"
        other.write_bytes(b"x")
        path = score_into(tmp_path, "x", model={"network": "i"})
        monkeypatch.setattr(run_module, "evaluate", lambda *_, **__: (read_results(path), path))
        asked = PaperRequest("table1", tmp_path / "out", MINIATURE, infants, networks={"rt": other})
        with pytest.raises(UsageError, match="is of network i, not rt; write --models i="):
            run(asked)

    def test_bad_raters_are_told_before_anything_is_trained(
        self, infants: str, tmp_path: Path, seeded: list[FitRequest]
    ) -> None:
        raters = tmp_path / "raters.csv"
        raters.write_text("image,rater,keypoint,x\n", encoding="utf-8")
        asked = PaperRequest("table2", tmp_path / "out", MINIATURE, infants, networks={"rt": None})
        with pytest.raises(BadDataset, match="has the columns"):
            run(replace(asked, raters=raters))
        assert not seeded


def run_result(s: Scored) -> RunResult:
    model = s.competing_model
    shape = (64, 64), "taylor", s.results.runtime, None
    return RunResult(model.name, model.network, model.arm.key, model.how, model.training, "a" * 64, *shape)


def outcome_of(key: str, scored: list[Scored], rows: list[TableRow]) -> ExperimentOutcome:
    chosen, data = EXPERIMENTS[key], scored[0].results.data
    human = scored[0].results.metrics.human
    assert human is not None
    return ExperimentOutcome(
        SCHEMA_VERSION, key, chosen.title, chosen.question, MINIATURE, SCALES[MINIATURE].what, "the paper",
        "0", "now", "edgepose paper", 0,
        ExperimentData(
            data.name, "test", data.sha256, data.n_images, data.n_videos, data.scored_keypoints, "rule", 0
        ),
        {"paper": spread_of(IN_MOTION_HUMAN), "ours": spread_of(IN_MOTION_HUMAN)},
        tuple(run_result(s) for s in scored),
        tuple(rows), (),
    )  # fmt: skip


@pytest.fixture
def competing_models(scored: Callable[..., Path]) -> list[Scored]:
    """RT and B4 from seeded noise, RT by two batches."""
    found = []
    for network, arm, noise in (("rt", Arm(), 0.1), ("rt", Arm("batch4", batch=4), 0.2), ("b4", Arm(), 0.05)):
        name = arm.name(network)
        path = scored(name, noise, model={"network": network, "network_name": variant(network).name})
        training = {"settings": {"batch": arm.batch or 16}, "images": 100}
        competing_model = CompetingModel(network, arm, name, Path(f"{name}.tflite"), "seeded noise", training)
        found.append(Scored(competing_model, read_results(path), path))
    return found


class TestReport:
    @pytest.mark.parametrize("key", EXPERIMENTS)
    def test_both_sides_stand_in_every_report(
        self, key: str, competing_models: list[Scored], tmp_path: Path
    ) -> None:
        rows = ROWS[key](competing_models)
        outcome = outcome_of(key, competing_models, rows)
        text = write_report(outcome, tmp_path / key).read_text(encoding="utf-8")
        assert "(ours: miniature)" in text.splitlines()[0]
        assert "paper: " in text and "ours, miniature: EfficientPose RT" in text
        assert text.count("ours, miniature: EfficientHourglass B4") >= 1
        html = (tmp_path / key / "report.html").read_text(encoding="utf-8")
        assert "ours, miniature: EfficientPose RT" in html and "data:image/png" in html
        json.dumps(to_plain(outcome), allow_nan=False)

    def test_table_2s_all_is_the_mean_over_keypoints(self, competing_models: list[Scored]) -> None:
        for row in ROWS["table2"](competing_models):
            parts = [value for name, value in row.values.items() if name != "all" and value is not None]
            assert len(parts) == 19
            assert row.values["all"] == pytest.approx(np.mean(parts), abs=0.006)

    def test_table_3_is_the_agreement_of_mean_errors_with_h(self, competing_models: list[Scored]) -> None:
        ours = [row for row in ROWS["table3"](competing_models) if row.whose == "ours"]
        for row, s in zip(sorted(ours, key=lambda r: r.network != "rt"), competing_models, strict=True):
            assert s.results.metrics.icc is not None
            assert row.values["C1"] == s.results.metrics.icc.C1[0]
            assert row.intervals["A1"] == s.results.metrics.icc.A1[1:]

    def test_pairs_stand_together(self, competing_models: list[Scored]) -> None:
        order = [(row.network, row.whose) for row in ROWS["table1"](competing_models)]
        place = order.index(("rt", "paper"))
        assert order[place : place + 3] == [("rt", "paper"), ("rt", "ours"), ("rt", "ours")]
        assert order[0] == ("openpose-library", "paper") and len(order) == 9 + 3

    def test_distributions_are_the_distances(self, competing_models: list[Scored]) -> None:
        rows = ROWS["fig4"](competing_models)
        curve = rows[1].curves["nose"]
        assert list(curve) == sorted(curve) and len(curve) == 21
        scores = competing_models[0].results.metrics.per_keypoint["nose"].scores
        assert curve[10] == pytest.approx(scores["median"]) and curve[19] == pytest.approx(scores["p95"])

    def test_raters_of_a_file_stand_beside_them(self, competing_models: list[Scored]) -> None:
        points = np.random.default_rng(0).normal(0, 1, (4, 6, 19, 2))
        points[:, :, 0, 0] += 20
        points[:, :, 3] = np.nan  # an ear that nobody marked
        raters = RaterSet(tuple("abcd"), tuple("uvwxyz"), IN_MOTION_19, points, "raters.csv")
        row = raters_row(rater_report(raters), IN_MOTION_19.names)
        assert "left_ear" not in row.curves and row.curves["nose"][19] == pytest.approx(row.values["nose"])
        rows = ROWS["fig4"](competing_models)
        rows.insert(1, row)
        (table,) = TABLES["fig4"](outcome_of("fig4", competing_models, rows))
        assert isinstance(table, Table)
        assert table.columns[1:4] == (
            "paper: human raters, P95 (H^0.95)",
            "ours, miniature: human raters, median",
            "P95",
        )
        assert table.rows[3][:4] == ("left ear", "0.1364", "–", "–")
        assert table.rows[1][3] == f"{row.values['nose']:.4f}"
