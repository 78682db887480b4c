"""The weights that come with the project, so that a network works before anything is trained.

They lie in `edgepose/weights/MODEL.safetensors`, and a command that reads a checkpoint takes
`default:MODEL` for them. Beside each lies its export, MODEL.tflite with its sidecar, for commands that only
run the network: that needs no TensorFlow, starts at once, and takes several cores. Of the networks for the
phone MODEL-int8.tflite comes too, trained for int8: `default:MODEL-int8`.
`benchmarks/ship_weights.py` writes the files and prints their hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgeio import lookup, sha256_file
from edgepose.errors import BadCheckpoint, UsageError
from edgepose.models.variants import variant

PREFIX = "default:"
INT8 = "-int8"  # behind a network's name: its file for the phone
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
        int8_sha256: of its file for the phone; None where none comes.
    """

    model: str
    keypoints: str
    sha256: str
    tflite_sha256: str
    resolution: int
    trained: str
    scores: str
    int8_sha256: str | None = None

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
        return self._checked(".safetensors", self.sha256)

    @property
    def tflite_path(self) -> Path:
        """The checkpoint's export, which needs no TensorFlow; raises BadCheckpoint like `path`."""
        return self._checked(".tflite", self.tflite_sha256)

    @property
    def int8_path(self) -> Path:
        """The file for the phone, for a row that has one; raises BadCheckpoint like `path`."""
        assert self.int8_sha256 is not None, "no name leads here"
        return self._checked(f"{INT8}.tflite", self.int8_sha256)

    def _checked(self, ending: str, sha256: str) -> Path:
        path = FOLDER / f"{self.model}{ending}"
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
            "e0c8d11383d38d837643f658ccf6c9568c1c3bda243b6ef521adf26b23c5ea29",
            "a3e73ecb708584a15d656eaf17cba8800ec0a89d4d6bde963bac69b5af09eb0f",
            224,
            f"{_DATA}; labels, and I's word on photographs",
            f"{_REAL} 86.7/72.2/48.4; {_MADE_UP} 96.5/88.0/64.1, ME 0.132",
            "c0eaac8dd40833628f3faf94a41c967387e9a525911c0c27e761a0c9241071b1",
        ),
        DefaultWeights(
            "i",
            "in-motion-19",
            "6fb74aa6a1320fc7542ef7d43dbeddc8c45c69dee00e3040a5549167410cefb0",
            "5b7155ccd870db3b2cd8227ed1e7f422e960fc1604e9008118e9b0f240a08e97",
            256,
            f"{_DATA}; labels alone",
            f"{_REAL} 86.6/73.6/51.5; {_MADE_UP} 95.8/86.5/68.2, ME 0.140",
        ),
        DefaultWeights(
            "rt-lite",
            "in-motion-19",
            "1002f963d6071adf00bd3a1bc2219244593a4666a75035d1761fe0280dfcab26",
            "6dd26c953b5d1f14f83cf009034bb6c1f8b5a8892b356a733c033ea875b3fade",
            224,
            f"{_DATA}; labels, and I's word on photographs",
            f"{_REAL} 84.9/67.8/45.9; {_MADE_UP} 96.7/87.4/66.0, ME 0.126",
            "ad6957ed98ca301a3f88f954263099974f4471e002d6f0190db14ba575270c77",
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
        UsageError: a file for the phone, which only runs.
        BadCheckpoint: they are missing or altered, or this edgepose comes without any.
    """
    if not _is_default(name):
        return Path(name)
    small = _for_the_phone().get(str(name))
    if small is not None:
        raise UsageError(f"{name} only runs: there is nothing to train or to export", f"give {small.name}")
    return lookup(_rows(), "default weights", str(name)).path


def model_path(name: str | Path) -> Path:
    """The file to run of what a user names, where no weights are to be read or changed.

    `default:MODEL` is the export of its checkpoint, `default:MODEL-int8` the file for the phone.

    Args:
        name: a path, or one of those.

    Raises:
        UnknownName, BadCheckpoint: as `checkpoint_path`.
    """
    if not _is_default(name):
        return Path(name)
    small = _for_the_phone()
    row = lookup(_rows() | small, "default weights", str(name))
    return row.int8_path if str(name) in small else row.tflite_path


def _is_default(name: str | Path) -> bool:
    text = str(name)
    if text.startswith(PREFIX) and not DEFAULT_WEIGHTS:
        raise BadCheckpoint(f"this edgepose comes without weights, so there is no {text}", "give a file")
    return text.startswith(PREFIX)


def _rows() -> dict[str, DefaultWeights]:
    return {row.name: row for row in DEFAULT_WEIGHTS.values()}


def _for_the_phone() -> dict[str, DefaultWeights]:
    return {f"{row.name}{INT8}": row for row in DEFAULT_WEIGHTS.values() if row.int8_sha256 is not None}
