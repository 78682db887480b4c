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
            "3be7302298ca369e3f9b0d25415651b44024708e0b0292953947d0aa104c87d5",
            "a30846ac50fc665e72dd29ccd0049e0f22ead33f2d9c728224f9123498b60343",
            224,
            f"{_DATA}; labels alone",
            f"{_REAL} 86.6/72.4/49.4; {_MADE_UP} 96.7/88.0/62.8, ME 0.124",
        ),
        DefaultWeights(
            "i",
            "in-motion-19",
            "6fb74aa6a1320fc7542ef7d43dbeddc8c45c69dee00e3040a5549167410cefb0",
            "5b7155ccd870db3b2cd8227ed1e7f422e960fc1604e9008118e9b0f240a08e97",
            256,
            f"{_DATA}; labels alone",
            f"{_REAL} 86.5/73.6/51.5; {_MADE_UP} 95.7/86.4/68.0, ME 0.140",
        ),
        DefaultWeights(
            "rt-lite",
            "in-motion-19",
            "1efe092b8ff915def2534809b57bf83f83ac4b05e70927aa6b19420e5bb4df02",
            "ff83fd3ad905d6aaf1c5baf311aebbbb4550a1efbb8e0c2472904edea25b08d5",
            224,
            f"{_DATA}; labels alone",
            f"{_REAL} 84.7/68.0/46.3; {_MADE_UP} 96.0/86.3/65.8, ME 0.130",
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
