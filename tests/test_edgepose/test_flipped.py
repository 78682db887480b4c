"""The flip test: its mean, by hand and by symmetry, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blob_videos import BlobFinder, K
from typer.testing import CliRunner

from edgepose.cli import app
from edgepose.errors import BadModel, UsageError
from edgepose.evaluation import evaluate as module
from edgepose.evaluation.speed import measure
from edgepose.evaluation.subject import Request
from edgepose.inference.flipped import with_flip
from edgepose.inference.keras_runner import BATCH, KerasRunner
from edgepose.inference.runners import open_runner
from edgepose.inference.spec import ReplicableRunner, StreamRunner, run_each
from edgepose.keypoints import IN_MOTION_19
from edgepose.models.pretrained import checkpoint_path, model_path
from edgepose.results.results import read_results
from edgepose.tracking.confidence import Confidence

LEFT, RIGHT = IN_MOTION_19.index("left_wrist"), IN_MOTION_19.index("right_wrist")
NOSE = IN_MOTION_19.index("nose")
SMALL = Path(model_path(Path("default:rt-lite")))


class Columns(BlobFinder):
    """Maps that are the first row of the input: as it is for a wrist, times the column for the nose."""

    def run(self, inputs: np.ndarray) -> np.ndarray:
        maps = np.zeros((len(inputs), 1, inputs.shape[2], K), np.float32)
        maps[:, 0, :, LEFT] = inputs[:, 0, :, 0]
        maps[:, 0, :, NOSE] = inputs[:, 0, :, 0] * np.arange(inputs.shape[2])
        return maps


def picture(runner, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (1, *runner.spec.input_size, 3)).astype(np.float32)


def test_the_mean_is_as_computed_by_hand() -> None:
    """Of 1, 2, 4 the mirror image is 4, 2, 1; the left wrist of that is the picture's right one."""
    runner = with_flip(Columns(), True)
    row = np.zeros((1, 1, 3, 3), np.float32)
    row[0, 0, :, 0] = 1, 2, 4
    found = runner.run(row)[0, 0]
    np.testing.assert_array_equal(found[:, LEFT], [0.5, 1, 2])
    np.testing.assert_array_equal(found[:, RIGHT], [0.5, 1, 2])
    # Straight: 0, 2, 8. Mirrored: 4 * 0, 2 * 1, 1 * 2, which is 2, 2, 0 turned back.
    np.testing.assert_array_equal(found[:, NOSE], [1, 2, 4])


@pytest.mark.parametrize("model", [SMALL, Path(checkpoint_path("default:rt-lite"))], ids=["tflite", "keras"])
def test_a_mirrored_picture_gives_the_mirrored_keypoints(model: Path) -> None:
    """The network itself is not so symmetrical."""
    plain = open_runner(model)
    runner, swaps = with_flip(plain, True), list(IN_MOTION_19.swaps)
    inputs = picture(plain, 0)
    for each, alike in ((runner, True), (plain, False)):
        mirrored = each.run(inputs[:, :, ::-1])[:, :, ::-1][..., swaps]
        assert np.allclose(mirrored, each.run(inputs), atol=1e-5) == alike
    assert runner.spec.flip and not plain.spec.flip and with_flip(plain, False) is plain


def test_batches_and_replicas_give_what_one_at_a_time_does() -> None:
    keras = with_flip(KerasRunner(Path(checkpoint_path("default:rt-lite"))), True)
    assert isinstance(keras, StreamRunner) and not isinstance(keras, ReplicableRunner)
    inputs = [picture(keras, seed) for seed in range(BATCH // 2 + 1)]
    for one, other in zip(run_each(keras, inputs), inputs, strict=True):
        np.testing.assert_allclose(one, keras.run(other), atol=2e-6)
    tflite = with_flip(open_runner(SMALL), True)
    assert isinstance(tflite, ReplicableRunner) and not isinstance(tflite, StreamRunner)
    other = tflite.replica()
    np.testing.assert_array_equal(other.run(inputs[0]), tflite.run(inputs[0]))
    assert other.spec.flip


def test_keypoints_have_no_mean() -> None:
    runner = BlobFinder()
    runner.spec = replace(runner.spec, output="keypoints")
    with pytest.raises(UsageError, match="gives keypoints, no maps to take the mean of"):
        with_flip(runner, True)


def test_it_is_said_wherever_figures_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_runner", BlobFinder)
    cli = CliRunner()
    data = tmp_path / "infants"
    drawn = ["data", "synth", "--out", str(data), "--videos", "10", "--frames", "1", "--size", "96x96"]
    assert cli.invoke(app, drawn).exit_code == 0
    plain, _ = module.evaluate(Path("a.tflite"), Request(str(data), speed=False), tmp_path / "scored")
    found, path = module.evaluate(
        Path("a.tflite"), Request(str(data), speed=False, flip=True), tmp_path / "scored"
    )
    assert (plain.name, found.name) == ("a", "a-flip") and read_results(path).model.flip
    words = ["compare", str(tmp_path / "scored"), "--baseline", "a", "--out", str(tmp_path / "report")]
    done = cli.invoke(app, [*words, "--overlays", "none"])
    assert done.exit_code == 0, done.output
    report = (tmp_path / "report/report.md").read_text()
    assert "taylor, flip test" in report and "--flip" in report
    with pytest.raises(UsageError, match="--flip runs on this machine only"):
        module.evaluate(
            Path("a.tflite"), Request(str(data), flip=True, target="emulated"), tmp_path / "device"
        )


def test_confidence_curves_are_of_one_or_the_other() -> None:
    spec = BlobFinder().spec
    curves = Confidence(replace(spec, flip=True).hashes, "a", spec.keypoints.key, spec.decode, {}, None, {})
    curves.check(replace(spec, flip=True), spec.decode)
    with pytest.raises(BadModel, match="is for predictions with --flip"):
        curves.check(spec, spec.decode)
    with pytest.raises(BadModel, match="is for predictions without --flip"):
        replace(curves, model_sha256=spec.hashes).check(replace(spec, flip=True), spec.decode)


def test_its_cost_is_that_of_two_inferences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: the child times what a runner with the flip test does."""
    import edgepose.evaluation.speed as speed

    opened: list[BlobFinder] = []

    def open_counted(path: Path, threads: int = 1) -> BlobFinder:
        opened.append(BlobFinder())
        return opened[-1]

    monkeypatch.setattr("edgepose.inference.runners.open_runner", open_counted)
    for flip in (0, 1):
        speed._measure_here(SMALL, "argmax", 1, 3, 1, flip)
    assert opened[1].calls == 2 * opened[0].calls
    timed = measure(SMALL, "taylor", flip=True, runs=2, warm_up=1)
    assert timed.runs == 2 and timed.latency_median > 0
