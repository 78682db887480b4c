"""The weights that come with the project, so that a network works before anything is trained.

They lie in `edgepose/weights/MODEL.safetensors`, and a command that reads a checkpoint takes
`default:MODEL` for them. Beside each lies its export, MODEL.tflite with its sidecar, for commands that only
run the network, where TensorFlow is not installed. `benchmarks/ship_weights.py` writes the files and prints
their hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgeio import lookup, sha256_file
from edgepose.errors import BadCheckpoint
from edgepose.frameworks import runs_checkpoints

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
        mend = "install edgepose again"
        if not path.is_file():
            raise BadCheckpoint(f"{path}, the weights {self.name}, is missing", mend)
        if sha256_file(path) != sha256:
            raise BadCheckpoint(f"{path} is damaged or is not what came with this edgepose", mend)
        return path


_LABELS = "from the authors' MPII weights, 180 steps of 16 made-up infants, labels alone"
_ON = "on 400 made-up infants of other videos PCKh@0.5/0.2/0.1"

DEFAULT_WEIGHTS: dict[str, DefaultWeights] = {
    row.model: row
    for row in (
        DefaultWeights(
            "rt",
            "in-motion-19",
            "a947e336ea081071c4de751b766ad1431676667537e8782666a0cc340f9bab3b",
            "9553a4f39a95befbc6fec0f8016ed8e7bb6524121a4c9c71e82c08bdd49c24da",
            224,
            _LABELS,
            f"{_ON} 95.2/79.6/54.6, ME 0.168",
        ),
        DefaultWeights(
            "i",
            "in-motion-19",
            "18c2c481eb477ad8db3d74679d9887f88c68261095134cc15ecdea0ccb98462f",
            "504506b4d306fa2448c71e3af034c0b33bd0d9e7482a8edc1f6a7239711ffe17",
            256,
            _LABELS,
            f"{_ON} 96.2/83.1/61.9, ME 0.146",
        ),
        DefaultWeights(
            "rt-lite",
            "in-motion-19",
            "a0d09f99eb46927e07e6d4abb225c3a1f4a90f83877d6917fb8fdd5fccdf2429",
            "18d218913eb803d02313b37abdadc7b62c1beb399e16d534c4bd53553b8b3ab6",
            224,
            _LABELS,
            f"{_ON} 92.8/76.2/52.2, ME 0.202",
        ),
    )
}


def default_weights(model: str, keypoints: str) -> DefaultWeights | None:
    """The weights that come for a network with a keypoint set; None where there are none."""
    row = DEFAULT_WEIGHTS.get(model)
    return row if row is not None and row.keypoints == keypoints else None


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

    `default:MODEL` is the checkpoint, or its export where this machine lacks TensorFlow to run checkpoints.

    Args:
        name: as for `checkpoint_path`, and raises the same.
    """
    row = _row(name)
    if row is None:
        return Path(name)
    return row.path if runs_checkpoints() else row.tflite_path


def _row(name: str | Path) -> DefaultWeights | None:
    text = str(name)
    if not text.startswith(PREFIX):
        return None
    if not DEFAULT_WEIGHTS:
        raise BadCheckpoint(f"this edgepose comes without weights, so there is no {text}", "give a file")
    known = {row.name: row for row in DEFAULT_WEIGHTS.values()}
    return lookup(known, "default weights", text)
