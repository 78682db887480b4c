"""What `--init` may name."""

from __future__ import annotations

from pathlib import Path

from edgepose.models.defaults import PREFIX, checkpoint_path

NOTHING, DEFAULT = "none", "default"


def start_path(name: str | Path | None, model: str) -> Path | None:
    """The checkpoint to start from, or None to start from nothing.

    Args:
        name: a path; `default:MODEL`; "default", those of `model`; "none" or None, nothing.
        model: key of the network.

    Raises:
        UnknownName: no weights come for this network.
        BadCheckpoint: they are missing or altered.
    """
    if name is None or str(name) == NOTHING:
        return None
    return checkpoint_path(f"{PREFIX}{model}" if str(name) == DEFAULT else name)
