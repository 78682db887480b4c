"""The weights that come with the project: the table, its files, and how commands take them."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from edgeio import UnknownName, sha256_file
from edgepose.errors import BadCheckpoint, BadModel, UsageError
from edgepose.inference.runners import open_runner
from edgepose.models import pretrained as defaults
from edgepose.models.pretrained import (
    DEFAULT_WEIGHTS,
    FOLDER,
    INT8,
    DefaultWeights,
    checkpoint_path,
    default_weights,
    model_path,
)

ROOT = Path(__file__).parents[2]
ROWS: list[Any] = [pytest.param(row, id=key) for key, row in DEFAULT_WEIGHTS.items()]
each_row = pytest.mark.parametrize("row", ROWS)

Ship = Callable[..., DefaultWeights]


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ship:
    """ship(MODEL, BYTES) puts a file and its row in the place of what comes with the project."""
    table: dict[str, DefaultWeights] = {}
    monkeypatch.setattr(defaults, "DEFAULT_WEIGHTS", table)
    monkeypatch.setattr(defaults, "FOLDER", tmp_path / "weights")

    def put(model: str, content: bytes = b"weights") -> DefaultWeights:
        path = tmp_path / "weights" / f"{model}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        exported = path.with_suffix(".tflite")
        exported.write_bytes(content[::-1])
        hashes = sha256_file(path), sha256_file(exported)
        row = DefaultWeights(model, "in-motion-19", *hashes, 224, "trained on noise", "scores nothing")
        table[model] = row
        return row

    return put


# The table as it is


@each_row
def test_a_row_has_its_file_and_fits_its_network(row: DefaultWeights) -> None:
    from edgepose.models.checkpoint import load_model, read_checkpoint

    info, _ = read_checkpoint(row.path)
    assert (info.model, info.keypoints, info.resolution) == (row.model, row.keypoints, row.resolution)
    assert row.trained and row.scores and info.source
    assert DEFAULT_WEIGHTS[row.model] is row and row.path.stem == row.model
    assert row.path.stat().st_size < 40e6
    maps = load_model(row.path)(np.zeros((1, row.resolution, row.resolution, 3), np.float32), training=False)
    assert np.isfinite(np.asarray(maps)).all()


@each_row
def test_a_row_is_packed_into_a_wheel(row: DefaultWeights) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = settings["package-data"]["edgepose"]
    packed = {path for pattern in patterns for path in (ROOT / "edgepose").glob(pattern)}
    assert "edgepose" in settings["packages"]
    assert {row.path, row.tflite_path, row.tflite_path.with_suffix(".json")} <= packed


def test_no_weights_without_a_row() -> None:
    phone = {f"{row.model}{INT8}" for row in DEFAULT_WEIGHTS.values() if row.int8_sha256}
    for suffix, stems in (("safetensors", set()), ("tflite", phone), ("json", phone)):
        assert {path.stem for path in FOLDER.glob(f"*.{suffix}")} == DEFAULT_WEIGHTS.keys() | stems


@pytest.mark.parametrize("row", [row for row in DEFAULT_WEIGHTS.values() if row.int8_sha256])
def test_a_file_for_the_phone_is_in_int8_and_of_its_network(row: DefaultWeights) -> None:
    spec = open_runner(row.int8_path).spec
    assert (spec.network, spec.keypoints.key, spec.recipe) == (row.model, row.keypoints, "int8-qat")
    assert spec.input_size == (row.resolution, row.resolution) and row.int8_path.stat().st_size < 0.65e6
    text = row.int8_path.with_suffix(".json").read_text()
    assert str(Path.home()) not in text and "/work" not in text, "a path of the machine that made it"


@pytest.mark.long
@each_row
def test_the_export_puts_keypoints_where_the_checkpoint_does(
    row: DefaultWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgepose.inference.tflite import TFLiteRunner

    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import ship_weights

    spec = TFLiteRunner(row.tflite_path).spec
    assert (spec.network, spec.keypoints.key, spec.recipe) == (row.model, row.keypoints, ship_weights.RECIPE)
    assert spec.input_size == (row.resolution, row.resolution)
    monkeypatch.setattr(ship_weights, "FRAMES", 4)
    _, largest = ship_weights.shift_px(row.path, row.tflite_path)
    assert largest <= ship_weights.SHIFT_PX  # none of these four's peaks ties, as one of 16 does


# Without TensorFlow

ALONE = """
import sys
class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tf_keras"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NoTensorFlow())
import json
from pathlib import Path
from typer.testing import CliRunner
import edgepose
from edgepose.cli import app
from edgepose.synthetic import synthesise
from edgepose.errors import UsageError
data, out = Path(sys.argv[1]) / "infants", Path(sys.argv[1])
synthesise(data, 8, 1, 5, (120, 160), workers=1)
def run(*words):
    return CliRunner().invoke(app, [*words, "--out", str(out / words[0])])
words = "--data", str(data), "--split", "all", "--limit", "2", "--no-speed"
done = run("evaluate", "default:rt-lite", *words)
assert done.exit_code == 0, done.output
facts = json.loads((out / "evaluate" / "rt-lite" / "results.json").read_text())["model"]
assert (facts["path_name"], facts["kind"], facts["recipe"]) == ("rt-lite.tflite", "tflite", "fp16"), facts
picture = sorted(path for path in data.rglob("*") if path.suffix in (".png", ".jpg"))[0]
done = run("predict", str(picture), "--model", "default:rt-lite")
assert done.exit_code == 0, done.output
assert '"file": "rt-lite.tflite"' in "".join(p.read_text() for p in (out / "predict").rglob("*.json"))
model = edgepose.load("default:rt-lite")
assert model.spec.path.name == "rt-lite.tflite" and len(model.predict(picture).track.smooth_px) == 1
done = run("export", "default:rt-lite")
assert isinstance(done.exception, UsageError) and "edgepose[train]" in str(done.exception), done
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


def test_without_tensorflow_the_export_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_runs_is_the_export(ship: Ship) -> None:
    ship("rt")
    assert model_path("default:rt") == defaults.FOLDER / "rt.tflite"
    assert model_path("mine.safetensors") == Path("mine.safetensors")
    assert checkpoint_path("default:rt").suffix == ".safetensors"
    (defaults.FOLDER / "rt.tflite").unlink()
    with pytest.raises(BadCheckpoint, match=r"rt\.tflite, the weights default:rt, is missing"):
        model_path("default:rt")


def test_a_file_for_the_phone_runs_and_does_nothing_else(ship: Ship) -> None:
    plain, row = ship("i"), ship("rt")
    path = defaults.FOLDER / "rt-int8.tflite"
    path.write_bytes(b"int8")
    defaults.DEFAULT_WEIGHTS["rt"] = replace(row, int8_sha256=sha256_file(path))
    assert model_path("default:rt-int8") == model_path(Path("default:rt-int8")) == path
    assert model_path("default:rt") == row.tflite_path and model_path("default:i") == plain.tflite_path
    with pytest.raises(UsageError, match=r"default:rt-int8 only runs: .*; give default:rt$"):
        checkpoint_path("default:rt-int8")
    with pytest.raises(UnknownName) as caught:
        model_path("default:i-int8")
    assert caught.value.known == ["default:i", "default:rt", "default:rt-int8"]
    path.write_bytes(b"int7")
    with pytest.raises(BadCheckpoint, match=r"rt-int8\.tflite is damaged"):
        model_path("default:rt-int8")


# Names


def test_a_path_stays_as_it_is(ship: Ship) -> None:
    ship("rt")
    for text in ("rt", "runs/a.safetensors", "models/default:rt"):
        assert checkpoint_path(text) == Path(text) == checkpoint_path(Path(text))


def test_a_default_name_is_its_file(ship: Ship) -> None:
    row = ship("rt-lite")
    assert row.name == "default:rt-lite"
    for name in (row.name, Path(row.name)):
        assert checkpoint_path(name) == row.path == defaults.FOLDER / "rt-lite.safetensors"


@pytest.mark.parametrize("text", ["default:rt-light", "default:", "default:../rt-lite", "default:b4"])
def test_an_unknown_name_lists_the_known(ship: Ship, text: str) -> None:
    ship("rt"), ship("rt-lite")
    with pytest.raises(UnknownName) as caught:
        checkpoint_path(text)
    assert caught.value.known == ["default:rt", "default:rt-lite"]


def test_an_edgepose_without_weights_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "DEFAULT_WEIGHTS", {})
    with pytest.raises(BadCheckpoint, match="comes without weights, so there is no default:rt; give a file"):
        checkpoint_path("default:rt")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (Path.unlink, "is missing; install edgepose again"),
        (lambda path: path.write_bytes(b"weighty"), "is damaged or is not what came"),
        (lambda path: path.write_bytes(b""), "is damaged"),
    ],
)
def test_missing_and_altered_files(ship: Ship, spoil: Callable[[Path], object], text: str) -> None:
    row = ship("rt")
    spoil(row.path)
    with pytest.raises(BadCheckpoint, match=text) as caught:
        checkpoint_path("default:rt")
    assert str(defaults.FOLDER / "rt.safetensors") in str(caught.value)


def test_weights_are_found_by_network_and_keypoints(ship: Ship) -> None:
    row = ship("rt")
    assert default_weights("rt", "in-motion-19") == row
    assert default_weights("rt", "mpii-16") is None
    assert default_weights("i", "in-motion-19") is None


# Commands


def test_evaluate_scores_it_under_the_networks_name(
    ship: Ship, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgepose.cli import app
    from edgepose.evaluation import evaluate

    class Stop(Exception):
        pass

    def noted(model: Path, *_: object) -> None:
        asked.append(model)
        raise Stop

    row, asked = ship("rt"), []  # type: ignore[var-annotated]
    monkeypatch.setattr(evaluate, "evaluate", noted)
    assert isinstance(
        CliRunner().invoke(app, ["evaluate", "default:rt", "--data", "x", "--out", str(tmp_path)]).exception,
        Stop,
    )
    assert asked == [row.tflite_path]
    both = CliRunner().invoke(app, ["evaluate", "default:rt", "mine/rt.safetensors", "--data", "x"]).exception
    assert isinstance(both, UsageError) and "the same name" in str(both)


def test_export_names_files_after_the_network(
    ship: Ship, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgepose.cli import app
    from edgepose.deploy import export as exporting

    row = ship("rt")
    asked: list[Path] = []

    def noted(checkpoint: Path, *_: object) -> None:
        asked.append(checkpoint)
        raise UsageError("stop here", "that is all")

    monkeypatch.setattr(exporting, "export_checkpoint", noted)
    done = CliRunner().invoke(app, ["export", "default:rt", "--out", str(tmp_path)])
    assert isinstance(done.exception, UsageError) and asked == [row.path]
    assert exporting.model_name(row.path, "fp16", "maps") == "rt-fp16-maps"


def test_models_marks_what_comes_with_weights(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgepose.cli import app
    from edgepose.models import profile

    monkeypatch.setattr(
        profile, "paper_cost", lambda key: profile.InferenceCost(1, 2)
    )  # building them takes long
    row = ship("rt-lite")
    plain = CliRunner().invoke(app, ["models", "--model", "rt", "--model", "rt-lite"]).stdout
    assert "rt-lite *" in plain and "rt *" not in plain
    assert (
        "* default:rt-lite comes with edgepose: in-motion-19, 224 px; trained on noise; scores nothing"
        in plain
    )
    listed = CliRunner().invoke(app, ["models", "--model", "rt", "--model", "rt-lite", "--json"]).stdout
    rt, lite = json.loads(listed)
    assert rt["default_weights"] is None
    assert lite["default_weights"]["name"] == row.name and lite["default_weights"]["sha256"] == row.sha256


# float16


def test_halves_but_for_what_float16_cannot_hold(tmp_path: Path) -> None:
    from edgepose.models.checkpoint import CheckpointInfo, read_checkpoint, save_checkpoint

    rng = np.random.default_rng(0)
    tensors = {
        "conv/kernel": rng.normal(0, 1e-4, (3, 3, 4, 8)),
        "bn/moving_variance": rng.uniform(1e-3, 9, 8),
        "small_bn/moving_variance": np.array([1.0, 6e-5]),
        "zero_bn/moving_variance": np.array([1.0, 0.0]),
        "large/kernel": np.array([-65_600.0, 1.0]),
        "largest/kernel": np.array([-65_504.0, 1e-9]),
    }
    tensors = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    before = {name: tensor.copy() for name, tensor in tensors.items()}
    info = CheckpointInfo("rt", "in-motion-19", 128, 224, "a test")
    save_checkpoint(tmp_path / "half.safetensors", tensors, info, half=True)
    found, read = read_checkpoint(tmp_path / "half.safetensors")
    assert found == info
    halved = {"conv/kernel", "bn/moving_variance", "largest/kernel"}
    for name, tensor in before.items():
        assert read[name].dtype == np.float32 and np.array_equal(tensors[name], tensor)
        expected = tensor.astype(np.float16).astype(np.float32) if name in halved else tensor
        np.testing.assert_array_equal(read[name], expected, err_msg=name)


def test_shipping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny_runs import make_teacher, use

    from edgepose.models import profile
    from edgepose.models.checkpoint import read_checkpoint

    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import ship_weights

    use(monkeypatch)
    monkeypatch.setattr(profile, "inference_cost", lambda info: profile.InferenceCost(1, 2))

    # Noise has no peaks: which of two equal ones wins says nothing of an export.
    monkeypatch.setattr(ship_weights, "SHIFT_PX", 1.0)
    monkeypatch.setattr(ship_weights, "FRAMES", 4)
    make_teacher(tmp_path / "best.safetensors", model="rt-lite", resolution=32)
    info, _ = read_checkpoint(tmp_path / "best.safetensors")
    row = ship_weights.ship(tmp_path / "best.safetensors", tmp_path / "weights")
    shipped = tmp_path / "weights" / "rt-lite.safetensors"
    hashes = sha256_file(shipped), sha256_file(shipped.with_suffix(".tflite"))
    assert row == DefaultWeights("rt-lite", "in-motion-19", *hashes, 32, "", "")
    assert shipped.stat().st_size < 0.6 * (tmp_path / "best.safetensors").stat().st_size
    assert read_checkpoint(shipped)[0] == info

    with pytest.raises(BadModel, match="is no int8 file of edgepose's that gives maps"):
        ship_weights.ship_int8(shipped.with_suffix(".tflite"), tmp_path / "weights")
    monkeypatch.setattr(ship_weights, "shift_px", lambda one, other: (0.0, 0.0))
    ship_weights.ship_int8(FOLDER / "rt-lite-int8.tflite", tmp_path / "weights")
    assert sha256_file(shipped.with_name("rt-lite-int8.tflite")) == DEFAULT_WEIGHTS["rt-lite"].int8_sha256

    monkeypatch.setattr(ship_weights, "TOLERANCE", 0)
    with pytest.raises(BadCheckpoint, match="in float16 has maps that differ by"):
        ship_weights.ship(tmp_path / "best.safetensors", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Callable[..., Any], dict[str, list[np.ndarray]]]:
    """What counts warnings, and pictures of one drawn infant, of two and of none: the benchmark's own."""
    from edgepose.data.registry import open_dataset
    from edgepose.synthetic import synthesise

    out = tmp_path_factory.mktemp("drawn") / "infants"
    synthesise(out, 8, 1, 5, (240, 320), workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        import predict_warnings

    return predict_warnings.flagged, predict_warnings.pictures(open_dataset(str(out)).records, 6, 0)


@each_row
def test_warnings_tell_one_infant_from_two_and_from_none(
    row: DefaultWeights, shown: tuple[Callable[..., Any], dict[str, list[np.ndarray]]]
) -> None:
    from edgepose.inference.estimator import Estimator
    from edgepose.inference.runners import open_runner

    estimator = Estimator(open_runner(row.tflite_path))
    flagged, pictures = shown
    shares = {kind: flagged(estimator, pictures[kind]) for kind in ("one", "two, beside", "nobody")}
    assert shares["one"]["any"] <= 0.25
    assert shares["two, beside"]["any"] >= 0.5
    assert shares["nobody"]["no-infant"] == 1
