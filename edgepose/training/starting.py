"""What `--init` and the commands that start from a checkpoint may name."""

from __future__ import annotations

from pathlib import Path

from edgepose.errors import BadCheckpoint
from edgepose.models.pretrained import PREFIX, checkpoint_path, starting_model
from edgepose.training.runs import RunFolder

NOTHING, DEFAULT = "none", "default"


def start_path(name: str | Path | None, model: str) -> Path | None:
    """The checkpoint to start from, or None to start from nothing.

    Args:
        name: a path; `default:MODEL`; "default", those of `model` or of the larger network that it was
            cut from; "none" or None, nothing.
        model: key of the network.

    Raises:
        UnknownName: no weights come for this network.
        BadCheckpoint: they are missing or altered.
    """
    if name is None or str(name) == NOTHING:
        return None
    return checkpoint_path(f"{PREFIX}{starting_model(model)}" if str(name) == DEFAULT else name)


def trained_path(name: str | Path) -> Path:
    """The checkpoint to go on from.

    Args:
        name: a path; `default:MODEL`; or a run's folder, whose best checkpoint it is, or else its last.

    Raises:
        UnknownName: no weights come for this network.
        BadCheckpoint: they are missing or altered, or the folder holds no checkpoint.
    """
    path = checkpoint_path(name)
    if not path.is_dir():
        return path
    folder = RunFolder(path)
    for found in (folder.best, folder.last):
        if found.is_file():
            return found
    raise BadCheckpoint(
        f"{path} holds no {folder.best.name} and no {folder.last.name}",
        "give a run's folder, or a checkpoint",
    )
