"""The weights that come with the project, so that a network works before anything is trained.

They lie in `edgepose/weights/MODEL.safetensors`, and a command that reads a checkpoint takes
`default:MODEL` for them. Beside each lies its export, MODEL.tflite with its sidecar, for commands that only
run the network: that needs no TensorFlow, starts at once, and takes several cores.
`benchmarks/ship_weights.py` writes the files and prints their hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgeio import lookup, sha256_file
from edgepose.errors import BadCheckpoint
from edgepose.models.variants import variant

PREFIX = "default:"
FOLDER = Path(str(resources.files("edgepose"))) / "weights"


@dataclass(frozen=True)
class DefaultWeights:
    """Weights of one network.

    Attributes:
        model: key of the variant; also the file's stem, so that results bear it.
        keypoints: key of the keypoint set.
        sha256: of the checkpoint, hexadecimal.
        tflite_sha256: of its export.
        resolution: height and width of the input it was trained at, px.
        trained: on what, and how.
        scores: what it scores, and on what.
    """

    model: str
    keypoints: str
    sha256: str
    tflite_sha256: str
    resolution: int
    trained: str
    scores: str

    @property
    def name(self) -> str:
        """What a user types for it."""
        return f"{PREFIX}{self.model}"

    @property
    def path(self) -> Path:
        """The checkpoint.

        Raises:
            BadCheckpoint: the file is missing or is not the one that was shipped.
        """
        return self._checked("safetensors", self.sha256)

    @property
    def tflite_path(self) -> Path:
        """The checkpoint's export, which needs no TensorFlow; raises BadCheckpoint like `path`."""
        return self._checked("tflite", self.tflite_sha256)

    def _checked(self, suffix: str, sha256: str) -> Path:
        path = FOLDER / f"{self.model}.{suffix}"
        hint = "install edgepose again"
        if not path.is_file():
            raise BadCheckpoint(f"{path}, the weights {self.name}, is missing", hint)
        if sha256_file(path) != sha256:
            raise BadCheckpoint(f"{path} is damaged or is not what came with this edgepose", hint)
        return path


_DATA = "on photographs of infants (SyRIP), adults (LSPET) and made-up infants; non-commercial research only"
_REAL = "on 209 photographs of real infants, cropped and upright, limbs' PCKh*@0.5/0.2/0.1"
_MADE_UP = "on 100 pictures of 20 other made-up infants PCKh@0.5/0.2/0.1"

DEFAULT_WEIGHTS: dict[str, DefaultWeights] = {
    row.model: row
    for row in (
        DefaultWeights(
            "rt",
            "in-motion-19",
            "55bac7791343da0ceec1efa50bcfa8ec3e3b383361731f5564fdde82ca9eb216",
            "21772c9c2e05d05f2d9b0560a539c7adfe6aa1a86e65043d80edea3c7c24f84d",
            224,
            f"{_DATA}; labels alone",
            f"{_REAL} 85.2/70.4/46.2; {_MADE_UP} 96.6/86.2/62.9, ME 0.127",
        ),
        DefaultWeights(
            "i",
            "in-motion-19",
            "6ef483af98edd76718064b4dd7f4dcfe05b2b42fad0e5cae981c88ec7bfdc3c8",
            "61bb9c42fd219652d370b650f7340f3c7ffb75b634d09ba0179f97a8764fc6cb",
            256,
            f"{_DATA}; labels alone",
            f"{_REAL} 85.7/72.3/49.6; {_MADE_UP} 95.3/86.9/70.4, ME 0.143",
        ),
        DefaultWeights(
            "rt-lite",
            "in-motion-19",
            "fe35372d1f156ce33b0355c0968a6462168b8a0698b076ee5ffb16f982233b56",
            "8fb3627b0c5dfb06fc9c2fe4bff75b0e39df11ece44bfcd5ce4d26722502c134",
            224,
            f"{_DATA}; labels alone",
            f"{_REAL} 85.1/67.3/46.0; {_MADE_UP} 95.9/86.9/67.5, ME 0.136",
        ),
    )
}


def default_weights(model: str, keypoints: str) -> DefaultWeights | None:
    """The weights that come for a network with a keypoint set; None where there are none."""
    row = DEFAULT_WEIGHTS.get(model)
    return row if row is not None and row.keypoints == keypoints else None


def starting_model(model: str) -> str:
    """The network whose weights another one starts from: itself, or the larger one that it was cut from
    where none come for itself."""
    chosen = variant(model)
    return model if model in DEFAULT_WEIGHTS or chosen.cut_from is None else chosen.cut_from


def checkpoint_path(name: str | Path) -> Path:
    """The file that a user names: a path as it stands, or the checkpoint that comes with the project.

    Args:
        name: a path, which need not exist, or `default:MODEL`.

    Raises:
        UnknownName: no weights come for this network; lists those for which they do.
        BadCheckpoint: they are missing or altered, or this edgepose comes without any.
    """
    row = _row(name)
    return Path(name) if row is None else row.path


def model_path(name: str | Path) -> Path:
    """The file to run of what a user names, where no weights are to be read or changed.

    `default:MODEL` is the export of its checkpoint.

    Args:
        name: as for `checkpoint_path`, and raises the same.
    """
    row = _row(name)
    return Path(name) if row is None else row.tflite_path


def _row(name: str | Path) -> DefaultWeights | None:
    text = str(name)
    if not text.startswith(PREFIX):
        return None
    if not DEFAULT_WEIGHTS:
        raise BadCheckpoint(f"this edgepose comes without weights, so there is no {text}", "give a file")
    known = {row.name: row for row in DEFAULT_WEIGHTS.values()}
    return lookup(known, "default weights", text)
