"""Protocol 1 between the host and a runner on a device: plain files in a job folder.

A runner needs files, SHA-256 and a TFLite interpreter, nothing else: every text is `key=value` lines, and
every tensor is its bytes, little endian, NHWC, without padding. `docs/devices.md` says the same with the
raw commands.

    JOB/job.txt              the host: what to run, and how
    JOB/model.tflite         the host
    JOB/in/NAME.bin          the host: one part, a few inputs end to end; NAME is the SHA-256 of its bytes
    JOB/in/NAME.bin.WORKER   a runner has claimed the part, by renaming it; it deletes it when done
    JOB/in/end               the host: no more parts will come
    JOB/out/runner-WORKER.txt   a runner: who it is, and what the model takes and gives
    JOB/out/NAME.bin         a runner: for each input of the part every output, in the model's order
    JOB/out/NAME.txt         a runner: the part is finished; hash and times
    JOB/out/error-WORKER.txt a runner: it gave up, and why

Every file is written under a name that ends in `.tmp` and then renamed, so that a file that is there is
whole. A part is done when its .txt is there: whoever resumes a job does the parts that have none.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from android_harness.errors import HarnessError

VERSION = 1
JOB_FILE, MODEL_FILE, END_FILE = "job.txt", "model.tflite", "end"
DELEGATES = ("xnnpack", "none")  # a phone's runner may know more

# What a runner may say that stopped it.
ERROR_KINDS = ("protocol", "job", "model", "input", "run")

# The sizes of the types that a model may take or give.
DTYPES = {"float32": 4, "float16": 2, "int8": 1, "uint8": 1, "int16": 2, "int32": 4, "int64": 8, "bool": 1}

Text = TypeVar("Text")


@dataclass(frozen=True)
class JobTensor:
    """An input or output of the model, as `DTYPE AxBxC SCALE ZERO_POINT` in a text.

    Attributes:
        scale, zero_point: real = (stored - zero_point) * scale; scale is 0 for float tensors.
    """

    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES or any(n < 0 for n in self.shape) or not math.isfinite(self.scale):
            raise ValueError(f"no tensor: {self.dtype} {self.shape} {self.scale}")

    @property
    def size_bytes(self) -> int:
        return DTYPES[self.dtype] * math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype} {'x'.join(map(str, self.shape))} {self.scale!r} {self.zero_point}"

    @staticmethod
    def parse(text: str) -> JobTensor:
        """Read it back; raises ValueError."""
        dtype, shape, scale, zero_point = text.split(" ")
        sizes = tuple(int(n) for n in shape.split("x")) if shape else ()
        return JobTensor(dtype, sizes, float(scale), int(zero_point))


@dataclass(frozen=True)
class Job:
    """What to run, and how (job.txt).

    Attributes:
        model_sha256: of model.tflite; a runner refuses another file.
        threads: of the interpreter.
        delegate: what runs the operators: "xnnpack", "none", or another that the runner knows.
        warm_up: inferences before the first that counts, on the first input.
        runs: inferences of each input; the outputs are the last one's.
        idle_s: a runner ends by itself after so many seconds without a part, should the host have died.
    """

    model_sha256: str
    threads: int = 1
    delegate: str = "xnnpack"
    warm_up: int = 0
    runs: int = 1
    idle_s: int = 600


@dataclass(frozen=True)
class Hello:
    """Who runs the job, written once the model is set up (runner-WORKER.txt).

    Attributes:
        runner: name and version of the runner.
        runtime, runtime_version: of the TFLite runtime.
        processor: what the device says of itself.
        init_ms: opening the model and allocating its tensors.
        model_memory_bytes: what that took from malloc; -1 where it cannot be told.
    """

    runner: str
    runtime: str
    runtime_version: str
    processor: str
    model_sha256: str
    threads: int
    delegate: str
    init_ms: float
    model_memory_bytes: int
    input: JobTensor
    outputs: tuple[JobTensor, ...]


@dataclass(frozen=True)
class JobPart:
    """A finished part (NAME.txt).

    Attributes:
        inputs: how many inputs the part held.
        sha256: of NAME.bin.
        warm_up_ms: of the process's very first inferences, the first of all first; empty in later parts.
        run_ms: `runs` times of the first input, then of the next, and so on.
    """

    name: str
    inputs: int
    sha256: str
    warm_up_ms: tuple[float, ...]
    run_ms: tuple[float, ...]


@dataclass(frozen=True)
class Failure:
    """Why a runner gave up (error-WORKER.txt); `kind` is one of ERROR_KINDS."""

    kind: str
    message: str


_HEADS: dict[type, str] = {Job: "job", Hello: "runner", JobPart: "part", Failure: "error"}


def render(record: Job | Hello | JobPart | Failure) -> str:
    """A record as the text of its file: `edgepose-KIND VERSION`, then `key=value` lines."""
    lines = [f"edgepose-{_HEADS[type(record)]} {VERSION}"]
    for field in dataclasses.fields(record):
        lines.append(f"{field.name}={_plain(getattr(record, field.name))}")
    return "\n".join(lines) + "\n"


def parse(kind: type[Text], text: str, where: str) -> Text:
    """Read a record back; keys that it does not have are skipped, so that runners may say more.

    Raises:
        HarnessError: another version, another kind of file, a missing key or a bad value.
    """
    head, *lines = text.splitlines() or [""]
    check_head(head, _HEADS[kind], where)
    said = dict(line.split("=", 1) for line in lines if "=" in line)
    values: dict[str, Any] = {}
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name not in said:
            raise HarnessError(f"{where} lacks {field.name}", _HINT)
        try:
            values[field.name] = _READ[hints[field.name]](said[field.name])
        except ValueError:
            raise HarnessError(f"{where} has {field.name}={said[field.name]!r}", _HINT) from None
    return kind(**values)


def check_head(line: str, kind: str, where: str) -> None:
    """Check a file's first line, or what `RUNNER version` prints.

    Raises:
        HarnessError: not that kind of file, or of another version of the protocol.
    """
    word, _, version = line.strip().partition(" ")
    if word != f"edgepose-{kind}":
        raise HarnessError(f"{where} begins with {line[:40]!r}, not 'edgepose-{kind} {VERSION}'", _HINT)
    if version != str(VERSION):
        raise HarnessError(
            f"{where} speaks version {version or 'none'} of the device protocol and this edgepose {VERSION}",
            "put the runner of this edgepose on the device (or upgrade edgepose)",
        )


def pack(inputs: Sequence[bytes]) -> tuple[str, bytes]:
    """A part's name and bytes."""
    data = b"".join(inputs)
    return hashlib.sha256(data).hexdigest(), data


def unpack(part: JobPart, data: bytes, outputs: Sequence[JobTensor], where: str) -> list[tuple[bytes, ...]]:
    """A finished part's outputs: for each input a tuple with every output's bytes.

    Raises:
        HarnessError: the bytes are not those that the runner hashed, or are too few or too many.
    """
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise HarnessError(f"{where} is damaged (its SHA-256 differs from the runner's)", _REDO_PART)
    sizes = [tensor.size_bytes for tensor in outputs]
    if len(data) != part.inputs * sum(sizes):
        raise HarnessError(f"{where} holds {len(data)} bytes, not {part.inputs} x {sum(sizes)}", _REDO_PART)
    rows, at = [], 0
    for _ in range(part.inputs):
        row = []
        for size in sizes:
            row.append(data[at : at + size])
            at += size
        rows.append(tuple(row))
    return rows


_HINT = "put the runner of this edgepose on the device"
_REDO_PART = "run the same command again; the part is done anew"


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        separator = "|" if value and isinstance(value[0], JobTensor) else ","
        return separator.join(_plain(item) for item in value)
    if isinstance(value, float):
        return repr(value)
    return " ".join(str(value).split())


def _floats(text: str) -> tuple[float, ...]:
    return tuple(_finite(item) for item in text.split(",")) if text else ()


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _tensors(text: str) -> tuple[JobTensor, ...]:
    return tuple(JobTensor.parse(item) for item in text.split("|"))


_READ: Mapping[Any, Any] = {
    str: str,
    int: int,
    float: _finite,
    tuple[float, ...]: _floats,
    JobTensor: JobTensor.parse,
    tuple[JobTensor, ...]: _tensors,
}
