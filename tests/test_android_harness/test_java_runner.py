"""The phones' runner on the desktop's Java: its core with an engine of our own, then with TensorFlow Lite."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import java_runner
import numpy as np
import pytest
from tiny_tflite import tiny_tflite

from android_harness import protocol
from android_harness.errors import HarnessError
from android_harness.protocol import Failure, Hello, Job, JobPart, JobTensor
from android_harness.runner_build import QUICK_JAVA, SOURCES, build_runner, compile_java, read_runner

CORE = ("Engine", "Protocol", "Stop", "Tensor", "Worker")
MODEL = b"a model"
SHA256 = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the core with the engine of java/FakeMain.java."""
    java_runner.need_java()
    out = tmp_path_factory.mktemp("core")
    sources = [SOURCES / "edgepose" / "runner" / f"{name}.java" for name in CORE]
    compile_java([*sources, Path(__file__).with_name("java") / "FakeMain.java"], [], out)
    return ["java", *QUICK_JAVA, "-cp", str(out), "edgepose.runner.FakeMain"]


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """The whole runner over TensorFlow Lite for the desktop, and its native library."""
    return java_runner.desktop_runner(tmp_path_factory.mktemp("desktop"))


def make_job(folder: Path, text: str, model: bytes = MODEL) -> Path:
    for name in ("in", "out"):
        (folder / name).mkdir(parents=True)
    (folder / "job.txt").write_text(text, encoding="utf-8")
    (folder / "model.tflite").write_bytes(model)
    return folder


def add_part(job: Path, inputs: list[bytes], name: str | None = None) -> str:
    real, data = protocol.pack(inputs)
    (job / "in" / f"{name or real}.bin").write_bytes(data)
    return name or real


def run(command: list[str], job: Path) -> int:
    (job / "in" / "end").touch()
    done = subprocess.run([*command, str(job), "w0"], capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr, done.stderr
    return done.returncode


def failure(job: Path) -> Failure:
    path = job / "out" / "error-w0.txt"
    return protocol.parse(Failure, path.read_text(encoding="utf-8"), str(path))


def outputs(job: Path, name: str, hello: Hello) -> tuple[JobPart, list[tuple[bytes, ...]]]:
    part = protocol.parse(JobPart, (job / "out" / f"{name}.txt").read_text(encoding="utf-8"), name)
    data = (job / "out" / f"{name}.bin").read_bytes()
    return part, protocol.unpack(part, data, hello.outputs, name)


def hello_of(job: Path) -> Hello:
    return protocol.parse(Hello, (job / "out" / "runner-w0.txt").read_text(encoding="utf-8"), "hello")


def test_does_parts_as_the_protocol_has_it(core: list[str], tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", protocol.render(Job(SHA256, 2, "none", warm_up=3, runs=2)))
    first = add_part(job, [b"abc", b"de\x80"])
    second = add_part(job, [b"\x00\x01\x02"])
    (job / "in" / "half.bin.tmp").write_bytes(b"not whole")
    assert run(core, job) == 0
    hello = hello_of(job)
    assert hello.input == JobTensor("uint8", (1, 3), float(np.float32(0.1)), 128)
    assert hello.outputs[1] == JobTensor("uint8", (), 0.0, 0)
    assert (hello.threads, hello.delegate, hello.model_sha256) == (2, "none", SHA256)
    parts = {name: outputs(job, name, hello) for name in (first, second)}
    assert parts[first][1] == [(b"abc", bytes([sum(b"abc") % 256])), (b"de\x80", bytes([(200 + 129) % 256]))]
    assert parts[second][1] == [(b"\x00\x01\x02", b"\x03")]
    done_first = min(parts, key=lambda name: parts[name][0].run_ms)  # the engine counts its calls
    assert [len(parts[n][0].warm_up_ms) for n in (done_first, *(parts.keys() - {done_first}))] == [3, 0]
    assert parts[first][0].run_ms[:2] != parts[first][0].run_ms[2:] and len(parts[first][0].run_ms) == 4
    assert sorted(p.name for p in (job / "in").iterdir()) == ["end", "half.bin.tmp"]
    assert not list((job / "out").glob("*.tmp"))


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (protocol.render(Job("0" * 64, delegate="none")), "job", "SHA-256"),
        (protocol.render(Job(SHA256, delegate="gpu")), "job", "no delegate 'gpu'"),
        (protocol.render(Job(SHA256, delegate="none")).replace("job 1", "job 2"), "protocol", "protocol 2"),
        (protocol.render(Job(SHA256, delegate="none")).replace("threads=1", "threads=x"), "job", "threads=x"),
        (protocol.render(Job(SHA256, delegate="none")).replace("runs=1\n", ""), "job", "lacks runs"),
        ("edgepose-part 1\n", "job", "no job file"),
        ("", "job", "no job file"),
    ],
)
def test_refuses_a_bad_job(core: list[str], tmp_path: Path, text: str, kind: str, said: str) -> None:
    job = make_job(tmp_path / "job", text)
    add_part(job, [b"abc"])
    assert run(core, job) == 3
    assert failure(job).kind == kind and said in failure(job).message


def test_says_why_a_model_is_refused_in_one_line(core: list[str], tmp_path: Path) -> None:
    text = protocol.render(Job(hashlib.sha256(b"").hexdigest(), delegate="none"))
    assert run(core, make_job(tmp_path / "job", text, b"")) == 3
    assert failure(tmp_path / "job") == Failure("model", "it is empty, and that over three lines")


@pytest.mark.parametrize(
    ("inputs", "name", "kind"),
    [
        ([b"abc"], "0" * 64, "input"),  # other bytes than the name says
        ([b"abcd"], None, "input"),  # no whole number of inputs
        ([b""], None, "input"),
        ([b"!!!"], None, "run"),  # the engine fails
    ],
)
def test_gives_up_on_a_bad_part_and_leaves_no_output(
    core: list[str], tmp_path: Path, inputs: list[bytes], name: str | None, kind: str
) -> None:
    job = make_job(tmp_path / "job", protocol.render(Job(SHA256, delegate="none")))
    add_part(job, inputs, name)
    assert run(core, job) == 3
    assert failure(job).kind == kind
    assert sorted(p.name for p in (job / "out").iterdir()) == ["error-w0.txt", "runner-w0.txt"]


def test_ends_by_itself_when_the_host_is_silent(core: list[str], tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", protocol.render(Job(SHA256, delegate="none", idle_s=0)))
    done = subprocess.run([*core, str(job), "w0"], timeout=60, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("delegate", ["xnnpack", "none"])
def test_tensorflow_lite_gives_the_golden_outputs(
    desktop: tuple[list[str], Path], tmp_path: Path, delegate: str
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    command, library = desktop
    model = tiny_tflite()
    text = protocol.render(Job(hashlib.sha256(model).hexdigest(), delegate=delegate, warm_up=1, runs=2))
    job = make_job(tmp_path / "job", text, model)
    images = np.random.default_rng(0).random((3, 1, 64, 64, 3), np.float32)
    name = add_part(job, [image.astype("<f4").tobytes() for image in images])
    (job / "in" / "end").touch()
    words = [*command, "run", str(job), "w0", str(library.parent)]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    hello = hello_of(job)
    assert (hello.runtime, hello.runtime_version) == ("tensorflow-lite-java", "2.6.2")
    assert hello.input == JobTensor("float32", (1, 64, 64, 3), 0.0, 0)
    part, rows = outputs(job, name, hello)
    assert len(part.run_ms) == 6 and all(ms > 0 for ms in part.run_ms)
    golden = Interpreter(model_content=model)
    golden.allocate_tensors()
    for image, (output,) in zip(images, rows, strict=True):
        golden.set_tensor(golden.get_input_details()[0]["index"], image)
        golden.invoke()
        expected = golden.get_tensor(golden.get_output_details()[0]["index"])
        np.testing.assert_allclose(np.frombuffer(output, "<f4").reshape(expected.shape), expected, atol=1e-6)


def test_tensorflow_lite_refuses_a_damaged_model(desktop: tuple[list[str], Path], tmp_path: Path) -> None:
    command, library = desktop
    job = make_job(tmp_path / "job", protocol.render(Job(SHA256)))
    words = [*command, "run", str(job), "w0", str(library.parent)]
    assert subprocess.run(words, capture_output=True, timeout=120, check=False).returncode == 3
    assert failure(job).kind == "model" and failure(job).message


def test_the_runner_builds_and_is_checked(tmp_path: Path) -> None:
    from android_harness.artifacts import DEXER, TENSORFLOW_LITE, fetch

    java_runner.need_java()
    try:
        fetch((*TENSORFLOW_LITE, DEXER), 180)
    except HarnessError as error:
        pytest.skip(f"TensorFlow Lite for Android cannot be fetched: {error}")
    import zipfile

    built = build_runner(tmp_path / "runner")
    jar = tmp_path / "runner" / "runner.jar"
    assert not jar.stat().st_mode & 0o222
    with zipfile.ZipFile(jar) as archive:
        dex = archive.read("classes.dex")
    assert dex[:8] == b"dex\n038\0" and b"Ledgepose/runner/Main;" in dex and b"LambdaMetafactory" not in dex
    assert b"Lorg/tensorflow/lite/gpu/GpuDelegateFactory$Options;" in dex
    names = [path.name for path in built.for_abi("arm64-v8a", "xnnpack")]
    assert names == ["runner.jar", "libtensorflowlite_jni.so"]
    assert len(built.for_abi("arm64-v8a", "gpu")) == 3
    with pytest.raises(HarnessError, match="no library for mips"):
        built.for_abi("mips", "xnnpack")
    (tmp_path / "runner" / "arm64-v8a" / "libtensorflowlite_jni.so").write_bytes(b"damaged")
    with pytest.raises(HarnessError, match=r"libtensorflowlite_jni.so is missing or damaged; run: make"):
        read_runner(tmp_path / "runner")
