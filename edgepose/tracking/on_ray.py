"""Inputs predicted on the nodes of a Ray cluster, a task an input, into a folder that all nodes see.

A task hands its input to a process beside it, which is watched as on one machine (`workers.py`) and stays,
its model open, for the next task of the same Ray worker. So a video that hangs or eats memory costs that
process, and never Ray's own: what Ray reports as lost is a node, or a worker that was killed with it.
"""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path

from edgeio import UserError, jobs
from edgepose.engines import EngineError, RayCluster
from edgepose.tracking.sources import Source
from edgepose.tracking.workers import Ended, Processes, Setup

# After a node is lost, its lock on the input may outlive it: on NFS by the lease, 90 s as a rule.
_LOCK_OUTLIVES_S = 180.0
_ASK_AGAIN_S = 1.0


class OnRay:
    """A pool whose room is a cluster's; it comes and goes with the nodes.

    Args:
        most: inputs at once, or None for as many as there is room for.
        seen: a file in the outputs' folder, the command's lock, by which a node knows that it sees that
            folder and none of its own at that path.
    """

    def __init__(self, cluster: RayCluster, setup: Setup, most: int | None, seen: Path) -> None:
        self._setup, self._seen = setup, seen
        self._tasks = cluster.tasks(_predict, _cpus(setup, cluster.node_cpus()), most)

    def has_room(self) -> bool:
        return self._tasks.has_room()

    def give(self, source: Source, again: bool = False) -> None:
        self._tasks.give(source, self._setup, source, self._seen, again)

    def listen(self, seconds: float) -> list[Ended]:
        return [
            Ended(found.key, stop=found.error, lost=found.lost) if found.value is None else found.value
            for found in self._tasks.finished(seconds)
        ]

    def end(self) -> None:
        """Forget what is under way; it ends when the cluster is left."""


def _cpus(setup: Setup, nodes: list[float]) -> int:
    """What a task keeps to itself: a checkpoint takes all cores of its node, as on one machine."""
    if setup.model.suffix == ".safetensors":
        return int(min(nodes, default=1.0))
    return setup.request.threads * (setup.request.workers or 1)


# On a node

_beside: tuple[Setup, Processes] | None = None  # the process of this Ray worker


def _predict(setup: Setup, source: Source, seen: Path, again: bool) -> Ended:
    """Predict an input in the process beside this one, and say what became of it."""
    _check_storage(setup, source, seen)
    process = _process(setup)
    patient_until = time.monotonic() + (_LOCK_OUTLIVES_S if again else 0)
    refusals = 0  # while nobody was at it: other settings are refused by the same error, and stay so
    process.give(source)
    while True:
        for ended in process.listen(5.0):
            refused = ended.outcome is not None and isinstance(ended.outcome.error, jobs.OtherJob)
            if not refused or time.monotonic() > patient_until or refusals == 2:
                return _with_node(ended)
            refusals += not _is_locked(setup.out, source.name)
            time.sleep(_ASK_AGAIN_S)
            process.give(source)


def _process(setup: Setup) -> Processes:
    global _beside
    if _beside is None or _beside[0] != setup:
        if _beside is not None:
            _beside[1].end()
        _beside = setup, Processes(setup, 1)
    return _beside[1]


def _check_storage(setup: Setup, source: Source, seen: Path) -> None:
    """Raise EngineError on a node that does not see what the command sees: all would fail there."""
    lacking = [path for path in (setup.model, seen) if not path.exists()]
    if not lacking and not source.paths[0].exists():
        lacking = [path for path in (source.root,) if not path.exists()]
    if lacking:
        raise EngineError(
            f"node {socket.gethostname()} does not see {lacking[0]}",
            "mount the storage on all nodes at the same path",
        )


def _is_locked(out: Path, name: str) -> bool:
    try:
        with jobs.locked(out, name):
            return False
    except jobs.OtherJob:
        return True


def _with_node(ended: Ended) -> Ended:
    """Say on which node an error that stops the command came."""
    error = ended.stop
    if not isinstance(error, UserError) or type(error).__reduce__ is not UserError.__reduce__:
        return ended
    return replace(ended, stop=type(error)(f"on node {socket.gethostname()}: {error.what}", error.hint))
