"""The instructions of one inference, by the operators of the graph: what to cut next.

XNNPACK says nothing of the graph that it runs; but it runs the operators in the graph's order, so what it ran
(`android_harness.operators`) is laid beside what stands in the file, and each pair must be of a kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt

from android_harness.emulator import EmulatedDevice
from android_harness.operators import OperatorRun, split_inference
from edgeio import sha256_file
from edgeio.records import Sha256
from edgepose.errors import BadModel
from export.inspect import GraphOperator, graph_operators


@dataclass(frozen=True)
class OperatorCost:
    """An operator of the graph."""

    kind: str
    """As in TFLite's schema."""
    tensor: str
    """Its output's name."""
    shape: tuple[NonNegativeInt, ...]
    """Its output's shape."""
    part: str
    """The part of the network that it belongs to, by its output's name."""
    instructions: PositiveInt
    """Of one inference."""
    kernels: tuple[str, ...]
    """XNNPACK's microkernels that ran it; several where it runs as several, a concatenation for one."""


@dataclass(frozen=True)
class OperatorCosts:
    """A model's, on one core; the operators and `around` add up to `instructions`."""

    model: str
    """Stem of the file."""
    sha256: Sha256
    """Hash of the file."""
    processor: str
    """The emulated core."""
    runtime: str
    """What ran it, with its version."""
    instructions: PositiveInt
    """Of one inference by one thread."""
    around: NonNegativeInt
    """What lies outside of operators: the interpreter, and XNNPACK's way from one operator to the next."""
    operators: tuple[OperatorCost, ...]
    """In the order of execution."""


@dataclass(frozen=True)
class _Kind:
    """How an operator may come to run.

    Attributes:
        kernels: pattern that the microkernel's name must have.
        runs: how many times; 0: as many as it has inputs.
        optional: whether it may run not at all, joined to another or a mere view.
    """

    kernels: str
    runs: int = 1
    optional: bool = False


_COPY = "copy|memcpy|libc|vcvt|transpose"
_TABLE = "lut|sigmoid|vhswish|vtanh|vcvt|vunary"
_KINDS = {
    "CONV_2D": _Kind("gemm|conv|spmm|vmulcaddc"),
    "FULLY_CONNECTED": _Kind("gemm"),
    "TRANSPOSE_CONV": _Kind("gemm|deconv"),
    "BATCH_MATMUL": _Kind("gemm"),
    "DEPTHWISE_CONV_2D": _Kind("dwconv|vmulcaddc"),
    "ADD": _Kind("vadd"),
    "SUB": _Kind("vr?sub"),
    "MUL": _Kind("vmul|run_operator"),
    "CONCATENATION": _Kind(_COPY, runs=0),
    "LOGISTIC": _Kind(_TABLE),
    "TANH": _Kind(_TABLE),
    "HARD_SWISH": _Kind(_TABLE),
    "MEAN": _Kind("sum|avgpool"),
    "AVERAGE_POOL_2D": _Kind("avgpool|sum"),
    "MAX_POOL_2D": _Kind("maxpool"),
    "RESIZE_BILINEAR": _Kind("ibilinear"),
    "PAD": _Kind("pad|fill|copy", optional=True),
    "QUANTIZE": _Kind("vcvt"),
    "DEQUANTIZE": _Kind("vcvt"),
    "RESHAPE": _Kind(_COPY, optional=True),
}
# Parts of the paper's networks by the names of their layers; of others, the name's first word.
_PARTS = re.compile(r"stem|block\d+|pass\d+")
_OUTPUTS = ("Identity", "StatefulPartitionedCall")  # what converters call a graph's outputs
_RESOLUTION = re.compile(r"_res(\d)(?=_|/|$)")


def measure_operators(device: EmulatedDevice, model: Path, folder: Path) -> OperatorCosts:
    """Count one inference of a .tflite, operator by operator.

    Args:
        folder: for the job; removed when done.

    Raises:
        BadModel: XNNPACK does not run the graph as it stands, as where it leaves operators to others.
        NotCounted, HarnessError: as `split_inference`.
        ExportError: the file is none, or damaged.
    """
    graph = graph_operators(model)
    found = split_inference(device, model, folder)
    return OperatorCosts(
        model=model.stem,
        sha256=sha256_file(model),
        processor=device.profile.name,
        runtime=f"{device.sysroot.runtime} {device.sysroot.runtime_version}",
        instructions=found.instructions,
        around=found.instructions - found.in_operators,
        operators=matched(graph, found.operators, str(model)),
    )


def matched(
    graph: Sequence[GraphOperator], ran: Sequence[OperatorRun], model: str
) -> tuple[OperatorCost, ...]:
    """What ran, laid beside the graph in its order.

    Raises:
        BadModel: an operator that is not known, or of which something else ran.
    """
    # Behind each operator, how many runs may be spent, and how many were before it: some may run or not.
    spent: list[dict[int, int]] = [{0: -1}]
    for op in graph:
        kind = _KINDS.get(op.kind)
        if kind is None:
            raise BadModel(f"{model} has {op.kind}, whose kernels are not known", "split another model")
        reached = {}
        for before in spent[-1]:
            runs = ran[before : before + (kind.runs or op.sources)]
            if runs and all(re.search(kind.kernels, run.kernel) for run in runs):
                reached[before + len(runs)] = before
            if kind.optional:
                reached.setdefault(before, before)
        if not reached:
            furthest = max(spent[-1])
            said = ran[furthest].kernel if furthest < len(ran) else "nothing"
            raise BadModel(
                f"{model}: {op.kind} of '{op.tensor}' ran as {said}, which is not of its kind",
                "export it again so that XNNPACK runs the whole graph",
            )
        spent.append(reached)
    if len(ran) not in spent[-1]:
        extra = len(ran) - max(spent[-1])
        raise BadModel(f"{model}: {extra} operators ran that its graph does not have", "split another model")
    return _paired(graph, ran, spent)


def _paired(
    graph: Sequence[GraphOperator], ran: Sequence[OperatorRun], spent: Sequence[Mapping[int, int]]
) -> tuple[OperatorCost, ...]:
    """The operators that ran with their runs, found from the last one back."""
    found, end = [], len(ran)
    for op, reached in zip(reversed(graph), reversed(spent[1:]), strict=True):
        start = reached[end]
        if runs := ran[start:end]:
            instructions = sum(run.instructions for run in runs)
            kernels = tuple(dict.fromkeys(run.kernel for run in runs))
            found.append(OperatorCost(op.kind, op.tensor, op.shape, part(op.tensor), instructions, kernels))
        end = start
    return tuple(reversed(found))


def part(tensor: str) -> str:
    """The part of a network that a tensor's name tells of: stem, block2, pass1; with two backbones, of which."""
    found = _PARTS.search(tensor)
    name = found.group() if found else re.split(r"[_/:]", tensor)[0]
    if name in _OUTPUTS:
        return "output"
    resolution = _RESOLUTION.search(tensor)
    return f"{name} (res{resolution[1]})" if resolution and resolution[1] != "1" else name
