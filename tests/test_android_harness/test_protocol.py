"""The texts and packed tensors of the device protocol, and the runner that reads and writes them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from android_harness import protocol
from android_harness.errors import HarnessError
from android_harness.protocol import Failure, Hello, Job, JobPart, JobTensor, pack, parse, render, unpack
from android_harness.qemu import RUNNER

MAPS = JobTensor("int8", (1, 2, 2, 3), 0.25, -128)
SCORE = JobTensor("float32", (1,), 0.0, 0)
RECORDS = [
    Job("a" * 64, threads=2, delegate="none", warm_up=1, runs=3, idle_s=5),
    Hello(
        "java 1", "litert", "2.3.0", "aarch64 0xd03", "b" * 64, 1, "xnnpack", 12.5, -1, MAPS, (MAPS, SCORE)
    ),
    JobPart("c" * 64, 2, "d" * 64, (), (1.25, 1e-05)),
    JobPart("c" * 64, 1, "d" * 64, (9.0, 8.0), (1.0,)),
    Failure("model", "op 'CUSTOM' is = unknown"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: type(r).__name__)
def test_every_record_comes_back_as_it_went(record) -> None:
    text = render(record)
    assert text.isascii() and text.endswith("\n")
    assert parse(type(record), text, "f") == record


def test_keys_that_a_newer_runner_adds_are_skipped() -> None:
    assert parse(JobPart, render(RECORDS[2]) + "temperature=31.5\n\nnonsense\n", "f") == RECORDS[2]


def test_a_message_of_several_lines_stays_one_value() -> None:
    text = render(Failure("run", "first\nsha256=forged\n"))
    assert parse(Failure, text, "f").message == "first sha256=forged"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with ''"),
        ("edgepose-job 1\n", "not 'edgepose-part 1'"),
        (
            render(RECORDS[2]).replace("part 1", "part 2"),
            "version 2 of the device protocol and this edgepose 1",
        ),
        (render(RECORDS[2]).replace("part 1", "part"), "version none"),
        (render(RECORDS[2]).replace("inputs=2\n", ""), "lacks inputs"),
        (render(RECORDS[2]).replace("inputs=2", "inputs=two"), "inputs='two'"),
        (render(RECORDS[2]).replace("1.25", "nan"), "run_ms='nan"),
    ],
)
def test_what_is_no_record_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(HarnessError, match=said) as caught:
        parse(JobPart, text, "out/x.txt")
    assert "out/x.txt" in caught.value.what


@pytest.mark.parametrize("text", ["int8", "int8 1x2", "int7 1x2 0.0 0", "int8 1x-2 0.0 0", "int8 1x2 inf 0"])
def test_what_is_no_tensor_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        JobTensor.parse(text)


def test_tensors_know_their_bytes() -> None:
    assert [MAPS.size_bytes, SCORE.size_bytes, JobTensor("int16", (), 0.0, 0).size_bytes] == [12, 4, 2]
    assert JobTensor.parse(str(JobTensor("int16", (), 0.1, 3))) == JobTensor("int16", (), 0.1, 3)


def test_a_part_is_named_by_its_bytes() -> None:
    name, data = pack([b"ab", b"cd"])
    assert (name, data) == (hashlib.sha256(b"abcd").hexdigest(), b"abcd")


def test_outputs_are_taken_apart_input_by_input() -> None:
    data = bytes(range(32))
    part = JobPart("n", 2, hashlib.sha256(data).hexdigest(), (), ())
    first, second = unpack(part, data, (MAPS, SCORE), "f")
    assert first == (data[:12], data[12:16])
    assert second == (data[16:28], data[28:])
    with pytest.raises(HarnessError, match="is damaged"):
        unpack(part, data[:-1] + b"\0", (MAPS, SCORE), "f")
    with pytest.raises(HarnessError, match="holds 32 bytes, not 2 x 12"):
        unpack(part, data, (MAPS,), "f")


def start_runner(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The runner under this machine's own Python and runtime."""
    return subprocess.run(
        [sys.executable, str(RUNNER), *arguments], capture_output=True, text=True, check=False
    )


def test_the_runner_says_the_version_of_its_protocol() -> None:
    head, *lines = start_runner("version").stdout.splitlines()
    protocol.check_head(head, "runner", "the runner")
    assert [line.split("=")[0] for line in lines] == ["runner", "runtime", "runtime_version"]


@pytest.mark.parametrize(
    ("job", "model", "kind", "said"),
    [
        ("edgepose-job 7\n", b"x", "protocol", "the job is of protocol 7, the runner of 1"),
        ("nonsense\n", b"x", "job", "no job file"),
        (render(Job("a" * 64)), b"x", "job", "SHA-256 differs"),
        (render(Job(hashlib.sha256(b"x").hexdigest(), delegate="gpu")), b"x", "job", "no delegate 'gpu'"),
        (render(Job(hashlib.sha256(b"x").hexdigest())), b"x", "model", "not a valid Flatbuffer"),
    ],
)
def test_the_runner_refuses_and_says_why(
    tmp_path: Path, job: str, model: bytes, kind: str, said: str
) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "job.txt").write_text(job, encoding="utf-8")
    (tmp_path / "model.tflite").write_bytes(model)
    assert start_runner("run", str(tmp_path), "w0").returncode == 3
    failure = parse(Failure, (tmp_path / "out" / "error-w0.txt").read_text(encoding="utf-8"), "f")
    assert failure.kind == kind and failure.kind in protocol.ERROR_KINDS
    assert said in failure.message
