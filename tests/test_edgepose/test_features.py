"""Feature alignment: which features, whose gradient, how its weight fades, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_runs import Crash, asked, crash_at, make_data, make_teacher, rows, same_state, tensors, tiny, use

from edgeio.jobs import OtherJob
from edgepose.errors import UsageError
from edgepose.frameworks import keras
from edgepose.models.checkpoint import CheckpointInfo, build, load_model, load_weights, read_checkpoint
from edgepose.models.variants import NORMALISATIONS, variant
from edgepose.training.augmentation import normalised, pixels_of
from edgepose.training.distill import distill
from edgepose.training.features import ALIGNMENT, FeatureLoss, feature_loss, map_features, with_alignment
from edgepose.training.losses import fading

REAL_BUILD = build
SYMMETRIC, IMAGENET = NORMALISATIONS["symmetric"], NORMALISATIONS["imagenet"]


@pytest.fixture(autouse=True)
def _tiny_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("features-data"), val=2)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_teacher(tmp_path_factory.mktemp("features-teacher") / "teacher.safetensors")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, data: Path, weights: Path) -> Path:
    """A run that nothing interrupted: two epochs of three steps."""
    out = tmp_path_factory.mktemp("features") / "run"
    with pytest.MonkeyPatch.context() as patch:
        use(patch)
        distill(asked(data, out, weights, loss="features", feature_weight=0.1))
    return out


# --- the term -------------------------------------------------------------------------------------


def test_the_features_are_what_the_last_maps_are_read_off() -> None:
    keras().utils.set_random_seed(1)
    student = tiny(CheckpointInfo("rt-lite", "in-motion-19", None, 64, "a test"))
    read = map_features(student)
    assert read is student.get_layer("pass3_input").output
    whole = with_alignment(student, 5)
    assert [tuple(o.shape[1:]) for o in whole.outputs] == [(8, 8, 36), (8, 8, 19), (8, 8, 5)]
    assert {layer.name for layer in whole.layers} - {layer.name for layer in student.layers} == {ALIGNMENT}


@pytest.mark.parametrize(
    ("model", "resolution", "layer", "width"),
    [
        ("rt-lite", 64, "pass3_detection2_confs_hidden", 128),
        pytest.param("rt", 64, "pass3_detection2_confs_hidden", 128, marks=pytest.mark.long),
        pytest.param("b4", 64, "up3_se_excite", 32, marks=pytest.mark.long),
    ],
)
def test_the_real_networks_have_them_too(model: str, resolution: int, layer: str, width: int) -> None:
    network = REAL_BUILD(CheckpointInfo(model, "in-motion-19", 128, resolution, "a test"))
    features = map_features(network)
    assert features is network.get_layer(layer).output
    assert features.shape[1:] == (*network.outputs[-1].shape[1:3], width)
    assert features.shape[1] == resolution // variant(model).stride


def test_the_teacher_sees_the_students_input_in_its_own_way(weights: Path) -> None:
    """Of the teacher's own size and averaged over nothing, they are its own network's features."""
    loss = feature_loss(weights, IMAGENET)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 96, 96, 3)).astype(np.float32)
    inputs = np.asarray(normalised(pixels, IMAGENET))
    np.testing.assert_allclose(pixels_of(inputs, IMAGENET), pixels, atol=1e-3)
    network = load_model(weights, "maps")
    alone = keras().Model(network.input, map_features(network)).predict_on_batch(loss.theirs.apply(pixels))
    np.testing.assert_allclose(loss.wanted(inputs, (12, 12)), alone, atol=1e-4)
    assert loss.theirs == NORMALISATIONS[variant("rt").normalisation]
    smaller = np.asarray(loss.wanted(inputs, (6, 6)))[:, 1:-1, 1:-1]
    assert smaller.shape == (2, 4, 4, loss.channels)
    assert 0 < smaller.std() < alone.std(), "averaged, not picked"


def test_the_error_is_a_share_of_the_teachers_features(weights: Path) -> None:
    loss = feature_loss(weights, SYMMETRIC)
    inputs = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    wanted = np.asarray(loss.wanted(inputs, (8, 8)))
    for output, told in ((wanted, 0.0), (0 * wanted, 1.0), (3 * wanted, 4.0)):
        found = float(loss([np.zeros(1), output], {"inputs": inputs}, np.float32(1)))
        assert found == pytest.approx(told, abs=1e-6, rel=1e-4)


def test_the_weight_falls_linearly_to_nothing() -> None:
    weight = fading(0.2)
    assert [weight(done) for done in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.2, 0.15, 0.1, 0.0])


def test_the_gradient_reaches_the_student_and_not_the_teacher(weights: Path) -> None:
    import tensorflow as tf

    keras().utils.set_random_seed(1)
    student = tiny(CheckpointInfo("rt-lite", "in-motion-19", None, 64, "a test"))
    loss = feature_loss(weights, SYMMETRIC)
    before = [w.copy() for w in loss.teacher.get_weights()]
    whole = with_alignment(student, loss.channels)
    inputs = np.random.default_rng(0).uniform(-1, 1, (4, 64, 64, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch([v.value for v in loss.teacher.variables if v.dtype == "float32"])
        value = loss(list(whole(inputs, training=True)), {"inputs": inputs}, np.float32(1))
    stem = student.get_layer("stem_conv").kernel.value
    reached, theirs = tape.gradient(value, [stem, loss.teacher.get_layer("stem_conv").kernel.value])
    assert float(tf.reduce_max(tf.abs(reached))) > 0 and theirs is None
    for old, new in zip(before, loss.teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_adds_the_fading_term_to_the_loss(whole: Path) -> None:
    for row, weight in zip(rows(whole), (0.1, 0.05), strict=True):
        terms = float(row["ground_truth"]) + float(row["teacher"]) + weight * float(row["features"])
        assert float(row["loss"]) == pytest.approx(terms, rel=1e-5)
        assert float(row["features"]) > 0


def test_the_checkpoint_is_the_students_alone_and_the_state_holds_the_projection(whole: Path) -> None:
    info, kept = read_checkpoint(whole / "last.safetensors")
    load_weights(tiny(info), kept)  # strict by name and shape
    state = "\n".join(tensors(whole))
    assert f"{ALIGNMENT}/kernel" in state and f"adam/{ALIGNMENT}_kernel_velocity" in state
    assert "teacher" not in state and sum("stem_conv/kernel" in name for name in tensors(whole)) == 1


def test_a_killed_run_goes_on_to_the_same_weights(
    whole: Path, data: Path, weights: Path, tmp_path: Path
) -> None:
    request = asked(data, tmp_path / "run", weights, loss="features", feature_weight=0.1)
    with pytest.raises(Crash):
        distill(request, crash_at(5, total=6))
    onwards = request
    with pytest.raises(OtherJob, match=r"distillation\.feature_weight: was 0\.1, now 0\.2"):
        distill(replace(onwards, feature_weight=0.2))
    distill(onwards)
    assert same_state(whole, tmp_path / "run")
    first, again = (load_file(out / "last.safetensors") for out in (whole, tmp_path / "run"))
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_features_pull_the_student_towards_the_teachers(data: Path, weights: Path, tmp_path: Path) -> None:
    """With hardly anything else to learn, their error falls."""
    student = {"steps_per_epoch": 15, "learning_rate": 0.02, "augmentation": "none"}
    distill(asked(data, tmp_path / "run", weights, student, loss="features", feature_weight=100.0))
    errors = [float(row["features"]) for row in rows(tmp_path / "run")]
    assert errors[-1] < 0.7 * errors[0]


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weights": Path("box.tflite")}, r"box\.tflite gives no features.*\.safetensors.*--loss fpd"),
        ({"feature_weight": 0.0}, "weight is 0.0.*--loss fpd"),
        ({"feature_weight": float("nan")}, "weight is nan"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_read(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        replace(asked(Path("none"), Path("run"), Path("a.safetensors"), loss="features"), **changes).check()


def test_features_of_nothing_divide_by_something() -> None:
    silent = keras().Sequential(
        [keras().Input((8, 8, 3)), keras().layers.Conv2D(2, 1, kernel_initializer="zeros")]
    )
    loss = FeatureLoss(silent, SYMMETRIC, SYMMETRIC)
    inputs = np.ones((1, 8, 8, 3), np.float32)
    value = float(loss([np.ones((1, 8, 8, 2), np.float32)], {"inputs": inputs}, np.float32(1)))
    assert np.isfinite(value) and value > 1
