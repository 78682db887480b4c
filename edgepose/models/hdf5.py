"""Read the weights, and nothing else, out of a Keras .h5 file from a stranger.

A Keras 2 file may hold code (`model_config` with marshalled Lambda layers) and may point at other files
(external links, external or virtual storage). Only plain float data sets are read here: no attribute is
looked at, no link is followed, and no more is read than a network of this family can need.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgepose.errors import BadCheckpoint

MAX_DEPTH = 24
MAX_OBJECTS = 20_000
MAX_BYTES = 256 * 2**20
MAX_RANK = 4
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,80}")  # safe to print
# HDF5 would load other filters as shared libraries from a plug-in folder.
_BUILT_IN_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}

Layers = dict[str, dict[str, np.ndarray]]


def read_layers(path: Path) -> Layers:
    """Layer name -> variable name (without ":0") -> float32 array.

    Raises:
        BadCheckpoint: missing, damaged, no HDF5 file, or with anything but plain weights in it.
    """
    import h5py

    if not Path(path).is_file():
        raise BadCheckpoint(f"{path} does not exist or is not a file", "give the authors' .h5 file")
    layers: Layers = {}
    try:
        with h5py.File(path, "r") as file:
            link = file.get("model_weights", getlink=True)
            root = file["model_weights"] if isinstance(link, h5py.HardLink) else file
            budget = _Budget(path)
            for parts, dataset in _datasets(path, root, (), budget):
                layer, variable = _layer_of(path, parts)
                layers.setdefault(layer, {})[variable] = _read(path, "/".join(parts), dataset, budget)
    except PermissionError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise BadCheckpoint(f"{path} is damaged or is no .h5 file ({error})", "download it again") from None
    if not layers:
        raise BadCheckpoint(f"{path} holds no weights", "give a file that Keras saved with its weights")
    return layers


class _Budget:
    """What is still allowed to be read from one file."""

    def __init__(self, path: Path) -> None:
        self._path, self._objects, self._bytes = path, MAX_OBJECTS, MAX_BYTES

    def spend(self, objects: int = 0, size: int = 0) -> None:
        self._objects -= objects
        self._bytes -= size
        if self._objects < 0 or self._bytes < 0:
            raise _refuse(self._path, f"more than {MAX_OBJECTS} objects or {MAX_BYTES >> 20} MiB of weights")


def _datasets(
    path: Path, group: Any, parts: tuple[str, ...], budget: _Budget
) -> Iterator[tuple[tuple[str, ...], Any]]:
    import h5py

    if not isinstance(group, h5py.Group) or len(parts) > MAX_DEPTH:
        raise _refuse(path, f"{'/'.join(parts)!a}, which is neither weights nor a layer")
    for name in group:
        budget.spend(objects=1)
        inner = (*parts, name)
        if not _NAME.fullmatch(name):
            raise _refuse(path, f"{name[:80]!a}, which is no layer's name")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise _refuse(path, f"'{'/'.join(inner)}', a link to somewhere else")
        item = group[name]
        if isinstance(item, h5py.Dataset):
            yield inner, item
        else:
            yield from _datasets(path, item, inner, budget)


def _layer_of(path: Path, parts: tuple[str, ...]) -> tuple[str, str]:
    """Keras stores LAYER/SCOPE/variable:0; if a layer's name has slashes, both have the same number."""
    if len(parts) < 3 or len(parts) % 2 == 0:
        raise _refuse(path, f"'{'/'.join(parts)}', which belongs to no layer")
    return "/".join(parts[: len(parts) // 2]), parts[-1].split(":")[0]


def _read(path: Path, name: str, dataset: Any, budget: _Budget) -> np.ndarray:
    creation = dataset.id.get_create_plist()
    filters = [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]
    if dataset.is_virtual or dataset.external:
        raise _refuse(path, f"'{name}', stored in another file")
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
        raise _refuse(path, f"'{name}' of type {dataset.dtype}")
    if any(number not in _BUILT_IN_FILTERS for number in filters):
        raise _refuse(path, f"'{name}', packed with a filter that is not HDF5's own")
    if dataset.shape is None or len(dataset.shape) > MAX_RANK:
        raise _refuse(path, f"'{name}' of shape {dataset.shape}")
    # HDF5 unpacks whole chunks, which may be larger than what they hold.
    unpacked = max(dataset.size, math.prod(dataset.chunks or (0,)))
    budget.spend(size=unpacked * dataset.dtype.itemsize)
    array = np.asarray(dataset[()], np.float32)
    if not np.isfinite(array).all():
        raise _refuse(path, f"'{name}' with NaN or infinite values")
    return array


def _refuse(path: Path, what: str) -> BadCheckpoint:
    return BadCheckpoint(f"{path} holds {what}", "give the authors' own .h5 file, unchanged")
