"""The command line as a user meets it: exit codes, one line for bad input, real processes where it counts."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from edgepose.cli import entry, main
from edgepose.keypoints import IN_MOTION_19


def edgepose(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgepose", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=cwd)


def told(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`edgepose` without a process of its own, which takes seconds to start."""
    words = list(map(str, arguments))
    with (
        mock.patch.object(sys, "argv", ["edgepose", *words]),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.raises(SystemExit) as done,
    ):
        main()
    code = done.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def refused(result: subprocess.CompletedProcess[str], *mentions: str, code: int = 1) -> None:
    """One line on stderr that mentions what it must, the right exit code, and no traceback."""
    # On a busy machine a command has announced itself before it fails.
    lines = [line for line in result.stderr.splitlines() if line.strip() and not line.startswith("edgepose ")]
    assert result.returncode == code, result.stderr
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    for mention in mentions:
        assert mention in lines[0], lines[0]


@pytest.fixture(scope="module")
def infants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve noisy frames of four videos in In-Motion's processed layout."""
    root = tmp_path_factory.mktemp("data") / "infants"
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        images, points = (root / "processed" / split / name for name in ("images_1024x1024", "points"))
        images.mkdir(parents=True)
        points.mkdir()
        for i in range(6):
            name = f"{split}{i // 3}_{i:03d}"
            coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
            coarse.resize((320, 240), Image.Resampling.BICUBIC).save(images / f"{name}.jpg")
            rows = rng.uniform(0.2, 0.8, (len(IN_MOTION_19), 2))
            (points / f"{name}.txt").write_text("\n".join(f"{x:.6f} {y:.6f}" for x, y in rows))
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained RT Lite at its smallest."""
    from edgepose.frameworks import keras
    from edgepose.models.checkpoint import CheckpointInfo, build, save_checkpoint, weights_of

    keras().utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    info = CheckpointInfo("rt-lite", IN_MOTION_19.key, 128, 64, "untrained")
    save_checkpoint(path, weights_of(build(info)), info)
    return path


@pytest.fixture(scope="module")
def exported(checkpoint: Path, infants: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported")
    source = ["--calibrate", f"in-motion:{infants}", "--count", 4]
    recipes = ["--recipe", "fp32", "--recipe", "int8"]
    done = told("export", checkpoint, *recipes, "--output", "maps", *source, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [Path(row["path"]).name for row in rows] == ["tiny-fp32-maps.tflite", "tiny-int8-maps.tflite"]
    assert rows[0]["validation"]["healthy"] and rows[1]["sidecar"]["float_operators"] == 0
    calibration = rows[1]["sidecar"]["calibration"]
    assert (calibration["count"], calibration["seed"]) == (4, 0)
    assert calibration["source"].startswith("in-motion:infants,"), (
        "a sidecar travels without this machine's paths"
    )
    return out


def test_help_names_every_command():
    done = edgepose("--help")
    assert done.returncode == 0
    for name in ("models", "import-weights", "export", "import-tflite", "evaluate", "compare", "data"):
        assert name in done.stdout
        assert told(name, "--help").returncode == 0
    assert told("--version").stdout.strip()
    assert told("scoer").returncode == 2


def test_from_checkpoint_to_report(checkpoint, exported, infants, tmp_path):
    fp32, int8 = (exported / f"tiny-{recipe}-maps.tflite" for recipe in ("fp32", "int8"))
    runs = tmp_path / "runs"
    score = ("evaluate", "--data", infants, "--out", runs, "--json")
    by_name = {}
    for words in ((checkpoint, fp32, "--no-speed"), (int8,)):
        done = told(*score, *words)
        assert done.returncode == 0, done.stderr
        by_name |= {r["name"]: r for r in json.loads(done.stdout)}
    assert set(by_name) == {"tiny", "tiny-fp32-maps", "tiny-int8-maps"}
    by_keras, by_tflite = (by_name[name]["metrics"]["overall"] for name in ("tiny", "tiny-fp32-maps"))
    assert by_tflite["scores"]["me"] == pytest.approx(by_keras["scores"]["me"], rel=1e-3)
    speed = by_name["tiny-int8-maps"]["speed"]
    assert 0 < speed["latency_ms"]["median"] <= speed["latency_ms"]["p90"]
    assert speed["peak_memory_bytes"] > 0 and speed["latency_ms"]["threads"] == 1
    assert by_name["tiny"]["model"]["parameters"] == by_name["tiny-fp32-maps"]["model"]["parameters"]
    done = told("compare", runs, "--overlays", "none", "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert "tiny-int8-maps" in (tmp_path / "report/report.md").read_text()
    again = told("evaluate", int8, "--data", infants, "--out", runs)
    assert again.returncode == 0, "a finished run is not an error"


@pytest.mark.long
def test_a_checkpoint_is_timed_in_a_process_of_its_own(checkpoint, infants, tmp_path):
    done = edgepose("evaluate", checkpoint, "--data", infants, "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["speed"]["latency_ms"]["median"] > 0


def test_the_same_export_again_is_finished_and_another_is_refused(checkpoint, exported, infants):
    source = ("--calibrate", f"in-motion:{infants}", "--count", 4)
    words = ("export", checkpoint, "--recipe", "fp32", "--recipe", "int8", *source, "--out", exported)
    before = {path: path.stat().st_mtime_ns for path in exported.iterdir()}
    again = told(*words)
    assert again.returncode == 0 and again.stderr.count("was made before by the same job") == 2, again.stderr
    assert "tiny-int8-maps.tflite" in again.stdout
    refused(told(*words, "--seed", 1), "calibration.seed: was 0, now 1", "--overwrite", code=2)
    assert {path: path.stat().st_mtime_ns for path in exported.iterdir()} == before


def test_a_model_that_is_not_what_its_sidecar_says(exported, infants, tmp_path):
    model = tmp_path / "x.tflite"
    model.write_bytes((exported / "tiny-fp32-maps.tflite").read_bytes())
    score = ("evaluate", model, "--data", infants, "--out", tmp_path / "runs")
    refused(told(*score), "x.tflite", "sidecar")
    model.with_suffix(".json").write_bytes((exported / "tiny-int8-maps.json").read_bytes())
    refused(told(*score), "another model")
    model.write_bytes(model.read_bytes()[:5000])
    refused(told(*score), "x.tflite")
    adopted = told("import-tflite", model, "--model", "rt-lite", "--out", tmp_path / "in")
    refused(adopted, "x.tflite")
    assert not list((tmp_path / "in").glob("*")) and not (tmp_path / "runs").exists()


def test_a_tflite_from_elsewhere_is_described_and_scored(exported, infants, tmp_path):
    source = exported / "tiny-fp32-maps.tflite"
    options = ("--model", "rt-lite", "--keypoints", "in-motion-19", "--output", "maps")
    done = told("import-tflite", source, *options, "--out", tmp_path / "in")
    assert done.returncode == 0, done.stderr
    done = told("evaluate", done.stdout.strip(), "--data", infants, "--no-speed", "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["data"]["n_images"] == 6
    wrong = ("--model", "rt-lite", "--keypoints", "mpii-16", "--output", "maps", "--overwrite")
    assert told("import-tflite", source, *wrong, "--out", tmp_path / "in").returncode == 0
    score = told("evaluate", tmp_path / "in" / source.name, "--data", infants, "--out", tmp_path / "r")
    refused(score, "16 keypoints")


def test_wrong_usage_exits_2(checkpoint, infants, tmp_path):
    out = ("--out", tmp_path / "out")
    refused(told("export", checkpoint, "--recipe", "int4", *out), "int4", "fp32, fp16", code=2)
    refused(told("export", checkpoint, "--output", "map", *out), "did you mean 'maps'", code=2)
    refused(told("export", checkpoint, "--recipe", "int8", *out), "--calibrate", code=2)
    both = ("--recipe", "int8", "--output", "keypoints", "--calibrate", infants)
    refused(told("export", checkpoint, *both, *out), "--output maps", code=2)
    score = ("evaluate", checkpoint, "--data", infants, *out)
    refused(told(*score, "--split", "tset"), "train, val, test", code=2)
    refused(told(*score, "--target", "moon"), "desktop", code=2)
    refused(told("evaluate", checkpoint, "--data", f"lspt:{infants}", *out), "lspet", code=2)
    refused(told("evaluate", checkpoint, checkpoint, "--data", infants, *out), "same name", code=2)
    assert not (tmp_path / "out").exists()


def test_bad_input_exits_1(checkpoint, infants, tmp_path):
    out = ("--out", tmp_path / "out")
    refused(edgepose("evaluate", tmp_path / "absent.tflite", "--data", infants, *out), "absent.tflite")
    refused(told("evaluate", checkpoint, "--data", tmp_path / "nowhere", *out), "nowhere")
    (tmp_path / "empty").mkdir()
    refused(told("evaluate", checkpoint, "--data", tmp_path / "empty", *out), "empty")
    bad = tmp_path / "bad.safetensors"
    for content in (b"", b"junk" * 100, checkpoint.read_bytes()[:-1000]):
        bad.write_bytes(content)
        refused(told("export", bad, *out), "bad.safetensors")
    h5 = tmp_path / "bad.h5"
    h5.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 500)
    refused(told("import-weights", h5, "--model", "rt", "--out", tmp_path / "x.safetensors"), "bad.h5")
    refused(told("compare", tmp_path / "empty", *out), "empty")
    assert not (tmp_path / "out").exists() and not (tmp_path / "x.safetensors").exists()


def test_an_unwritable_place_is_named(checkpoint, tmp_path):
    (tmp_path / "file").write_text("")
    refused(told("export", checkpoint, "--recipe", "fp32", "--out", tmp_path / "file" / "deeper"), "file")


_LIMITED = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
runpy.run_module("edgepose", run_name="__main__")
"""


def test_a_file_that_cannot_be_written_whole_is_one_line_and_leaves_nothing(exported, infants, tmp_path):
    """A limit on the size of files fails in the middle of a write, as a full disk does."""
    model = exported / "tiny-fp32-maps.tflite"
    arguments = ["evaluate", str(model), "--data", str(infants), "--no-speed", "--out", "out"]
    command = [sys.executable, "-c", _LIMITED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)
    refused(done, "too large")
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} <= {"job.json", ".lock"}


def test_an_interrupt_while_a_class_is_made_ends_as_one(monkeypatch):
    def main():
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr("edgepose.cli.main", main)
    monkeypatch.setattr("edgepose.cli.stop_when_asked", lambda: None)
    monkeypatch.setattr(sys, "argv", ["edgepose"])
    with pytest.raises(SystemExit) as ended:
        entry()
    assert ended.value.code == 130


_BACKGROUND = 'trap "" INT; exec "$0" "$@"'  # what a script's shell does to `edgepose ... &`


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("words", "begun", "said"),
    [
        ("data synth --videos 500 --out out", "edgepose data synth: ", ""),
        (
            "train --model rt --data built-in:infants --out out",
            "the built-in infants ",
            "stopped; the same command goes on from out\n",
        ),
    ],
)
def test_a_command_in_the_background_stops_when_it_is_asked_to(
    words, begun, said, number, tmp_path, monkeypatch
):
    """While it draws infants, long before anything is trained."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command = ["sh", "-c", _BACKGROUND, sys.executable, "-m", "edgepose", *words.split()]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        assert any(line.startswith(begun) for line in process.stderr)  # reads on until there is one
        process.send_signal(number)
        told = [line for line in process.stderr if not line.startswith("edgepose ")]
        # A shell calls both 130. CPython ends by the signal itself, as cleanly, where it came while `exec`
        # ran a text, as it does for every dataclass that is imported.
        assert process.wait(60) in (130, -signal.SIGINT), told
    assert "".join(told) == said
