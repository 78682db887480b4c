"""Which operator of a .tflite first gives other bits on an emulated device than on this machine.

Two runs a device. In the first, every operator's output is an output of the graph; the first that differs
stands behind operators that agree, so it is the cause. (That the graph's own outputs are the same with and
without the others is checked here, so that looking changes nothing.) In the second, every operator stands
alone and gets what it gets on this machine: what then differs is its own doing, operator by operator.

    python benchmarks/first_difference.py MODEL.tflite DATA --device cortex-a76 --count 2 [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils

from android_harness.emulator import EmulatedDevice, open_device
from android_harness.qemu import guest_command, guest_environment
from edgepose.deploy.export import Calibrate, sample_inputs
from edgepose.inference.metadata import pose_metadata
from edgepose.models.variants import NORMALISATIONS, variant
from export.inspect import inspect
from export.runtime import Session
from export.sidecar import read_sidecar

# Runs on both machines, once for all: folders that each hold a model and an archive of its inputs by place;
# NumPy and LiteRT.
_GUEST = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
for folder in sys.argv[2:]:
    made = Interpreter(model_path=folder + "/m.tflite", num_threads=1)
    made.allocate_tensors()
    with np.load(folder + "/in.npz") as inputs:
        for i, details in enumerate(made.get_input_details()):
            made.set_tensor(details["index"], inputs[str(i)])
    made.invoke()
    np.savez(folder + "/" + sys.argv[1], *[made.get_tensor(d["index"]) for d in made.get_output_details()])
"""


@dataclass(frozen=True)
class Row:
    """One operator on one input, here and there.

    Attributes:
        index: in the graph's order.
        kind: its operator, with the types of its first input and output.
        differ: share of the output's values that differ, when it got the same input.
        largest: difference, in steps where the output is an integer, else relative to its largest value.
        behind: the same share inside the whole graph, with what stands before it.
    """

    index: int
    kind: str
    tensor: str
    differ: float
    largest: float
    behind: float


class Graph:
    """A model with one subgraph, its operators' outputs exposed."""

    def __init__(self, data: bytes) -> None:
        inspect(data)
        self.data = data
        model = flatbuffer_utils.convert_bytearray_to_object(data)
        names = {value: name for name, value in vars(flatbuffer_utils.BuiltinOperator).items()}
        self.types = {v: k for k, v in vars(flatbuffer_utils.schema_fb.TensorType).items() if k.isupper()}
        self.kinds = [names[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in model.operatorCodes]
        self.graph = model.subgraphs[0]
        self.model = model
        constant = {i for i, t in enumerate(self.graph.tensors) if self._is_constant(t)}
        for op in self.graph.operators:  # constants made float count as constants
            if constant.issuperset(int(i) for i in op.inputs if i >= 0):
                constant.update(int(i) for i in op.outputs)
        self.constant = constant
        self.ops = [op for op in self.graph.operators if int(op.outputs[0]) not in constant]

    def _is_constant(self, tensor: Any) -> bool:
        held = self.model.buffers[tensor.buffer].data
        return held is not None and len(held) > 0

    def kind(self, op: Any) -> str:
        tensors = self.graph.tensors
        types = [self.types[tensors[int(i)].type].lower() for i in [*op.inputs[:2], op.outputs[0]] if i >= 0]
        return f"{self.kinds[op.opcodeIndex]} {' '.join(types[:-1])} to {types[-1]}"

    def sources(self, op: Any) -> list[int]:
        return [int(i) for i in op.inputs if i >= 0 and int(i) not in self.constant]

    def exposed(self) -> bytes:
        """Every operator's first output is an output of the graph, in their order."""
        kept = self.graph.outputs
        self.graph.outputs = np.array([op.outputs[0] for op in self.ops], np.int32)
        data = bytes(flatbuffer_utils.convert_object_to_bytearray(self.model))
        self.graph.outputs = kept
        return data

    def apart(self) -> tuple[bytes, list[int]]:
        """Every operator reads inputs of the graph; which tensor each of these inputs stands for."""
        model = flatbuffer_utils.convert_bytearray_to_object(self.data)
        graph = model.subgraphs[0]
        wanted, inputs = [], []
        for op in graph.operators:
            if int(op.outputs[0]) in self.constant:
                continue
            op.inputs = np.array(op.inputs, np.int32)
            for k, i in enumerate(op.inputs.tolist()):
                if i < 0 or int(i) in self.constant:
                    continue
                op.inputs[k] = len(graph.tensors)
                inputs.append(len(graph.tensors))
                graph.tensors.append(graph.tensors[int(i)])
                wanted.append(int(i))
        graph.inputs = np.array(inputs, np.int32)
        graph.outputs = np.array([op.outputs[0] for op in self.ops], np.int32)
        model.signatureDefs = []
        return bytes(flatbuffer_utils.convert_object_to_bytearray(model)), wanted


def run(
    device: EmulatedDevice | None, runs: Sequence[tuple[bytes, Sequence[np.ndarray]]], folder: Path
) -> list[list[np.ndarray]]:
    """All outputs of models with their inputs, on a device or on this machine; one process for all."""
    script, out = folder / "run.py", "out.npz"
    script.write_text(_GUEST)
    places = [folder / str(i) for i in range(len(runs))]
    for place, (model, inputs) in zip(places, runs, strict=True):
        place.mkdir(exist_ok=True)
        (place / "m.tflite").write_bytes(model)
        named: dict[str, Any] = {str(i): value for i, value in enumerate(inputs)}
        np.savez(place / "in.npz", **named)
    command, environment = [sys.executable], None
    if device is not None:
        command = guest_command(device.root, device.profile, device.sysroot.python)
        environment = guest_environment(device.root)
    subprocess.run([*command, str(script), out, *map(str, places)], env=environment, check=True)
    found = []
    for place in places:
        with np.load(place / out) as outputs:
            found.append([outputs[f"arr_{i}"] for i in range(len(outputs.files))])
    return found


def difference(here: np.ndarray, there: np.ndarray) -> tuple[float, float]:
    """Share of values that differ, and the largest difference: steps, or relative to the largest value."""
    apart = np.abs(here.astype(np.float64) - there.astype(np.float64))
    scale = 1.0 if here.dtype != np.float32 else max(float(np.abs(here).max()), 1e-30)
    return float((here != there).mean()), float(apart.max()) / scale


def rows(path: Path, device: EmulatedDevice, images: Sequence[np.ndarray], folder: Path) -> list[list[Row]]:
    """Every operator of a model, for each input (1, H, W, C) float32."""
    graph = Graph(path.read_bytes())
    session = Session(path)
    stored = [session.inputs[0].quantise(image) for image in images]
    exposed, (apart, wanted) = graph.exposed(), graph.apart()
    here = run(None, [(exposed, [each]) for each in stored], folder)
    places = {int(op.outputs[0]): i for i, op in enumerate(graph.ops)}
    for each, values in zip(stored, here, strict=True):
        for index, whole in zip(graph.graph.outputs, session.run(each), strict=True):
            if not np.array_equal(whole, values[places[int(index)]]):
                raise SystemExit("error: exposing the operators changes the outputs")
    given = [
        [each if i in graph.graph.inputs else values[places[i]] for i in wanted]
        for each, values in zip(stored, here, strict=True)
    ]
    runs = [(apart, values) for values in given]
    alone = run(None, runs, folder)
    there = run(device, [*runs, *((exposed, [each]) for each in stored)], folder)
    return [
        [
            Row(
                i,
                graph.kind(op),
                (graph.graph.tensors[int(op.outputs[0])].name or b"").decode(),
                *difference(alone[n][i], there[n][i]),
                difference(here[n][i], there[len(runs) + n][i])[0],
            )
            for i, op in enumerate(graph.ops)
        ]
        for n in range(len(images))
    ]


def say(found: list[list[Row]]) -> None:
    """The first operator that differs, and a line for each kind of operator."""
    for image, each in enumerate(found):
        first = next((row for row in each if row.behind), None)
        print(f"image {image}: first to differ: {first}; last: {each[-1].behind:.2%} of the values differ")
    every = [row for each in found for row in each]
    for kind in dict.fromkeys(row.kind for row in every):
        those = [row for row in every if row.kind == kind]
        differ, largest = np.mean([r.differ for r in those]), max(r.largest for r in those)
        print(f"{kind:50} {len(those):4} differ {differ:9.4%} largest {largest:.3g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", help="as for --data")
    parser.add_argument("--device", default="cortex-a76", help="as `edgepose device create` made it")
    parser.add_argument("--count", type=int, default=1, help="of images")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    height, width = inspect(given.model).inputs[0].shape[1:3]
    asked = Calibrate(given.data, "test", given.count)
    network = pose_metadata(read_sidecar(given.model).metadata, str(given.model)).network
    if network is None:
        raise SystemExit(f"error: {given.model} is of none of edgepose's networks")
    images, _ = sample_inputs(asked, (height, width), NORMALISATIONS[variant(network).normalisation])
    device = open_device(given.device)
    with tempfile.TemporaryDirectory() as folder:
        found = rows(given.model, device, images, Path(folder))
    say(found)
    if given.json:
        given.json.write_text(json.dumps([[asdict(row) for row in each] for each in found], indent=1))


if __name__ == "__main__":
    main()
