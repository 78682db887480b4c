"""The mean of checkpoints of one network that started from the same weights, as a checkpoint.

    python benchmarks/average_weights.py ONE.safetensors OTHER.safetensors --out MEAN.safetensors

Source: model soups, Wortsman et al. 2022: a mean of such weights is often better than each of them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgepose.errors import BadCheckpoint
from edgepose.models.checkpoint import read_checkpoint, save_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    read = [read_checkpoint(path) for path in given.checkpoints]
    first, weights = read[0]
    for path, (info, tensors) in zip(given.checkpoints, read, strict=True):
        shapes = {name: array.shape for name, array in tensors.items()}
        if info.model != first.model or shapes != {name: array.shape for name, array in weights.items()}:
            raise BadCheckpoint(f"{path} is not of the network of {given.checkpoints[0]}", "name others")
    tables = [tensors for _, tensors in read]
    mean = {name: np.stack([each[name] for each in tables]).mean(0, dtype=np.float32) for name in weights}
    last = read[-1][0]
    save_checkpoint(
        given.out, mean, replace(last, source=f"the mean of {len(read)} checkpoints, the last: {last.source}")
    )


if __name__ == "__main__":
    main()
