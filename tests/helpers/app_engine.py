"""LiteRT behind standard input and output, for the app's JVM tests: no desktop build of its Java API exists.

In: the model's length (4 bytes, big endian) and the model, then inputs. Out: the length and the text of a
JSON object that tells version and tensors, or an error; then for each input all outputs in turn.
"""

from __future__ import annotations

import json
import struct
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main() -> None:
    """Serve one model until the input ends."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    (size,) = struct.unpack(">I", source.read(4))
    try:
        interpreter = Interpreter(model_content=source.read(size), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        _tell(target, {"error": " ".join(str(error).split())})
        return
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    tensors = {"inputs": [_spec(d) for d in inputs], "outputs": [_spec(d) for d in outputs]}
    _tell(target, {"version": version("ai-edge-litert"), **tensors})
    length = int(np.prod(inputs[0]["shape"])) * np.dtype(inputs[0]["dtype"]).itemsize
    while data := source.read(length):
        values = np.frombuffer(data, inputs[0]["dtype"]).reshape(inputs[0]["shape"])
        interpreter.set_tensor(inputs[0]["index"], values)
        interpreter.invoke()
        for output in outputs:
            target.write(interpreter.get_tensor(output["index"]).tobytes())
        target.flush()


def _spec(details: dict[str, Any]) -> dict[str, Any]:
    scale, zero_point = details["quantization"]
    return {
        "dtype": np.dtype(details["dtype"]).name,
        "shape": [int(size) for size in details["shape"]],
        "scale": float(scale),
        "zero_point": int(zero_point),
    }


def _tell(target: Any, plain: dict[str, Any]) -> None:
    text = json.dumps(plain).encode()
    target.write(struct.pack(">I", len(text)) + text)
    target.flush()


if __name__ == "__main__":
    main()
