"""Score many models, one after another here, or a task a model on the nodes of a Ray cluster.

Each is scored by `evaluate.evaluate` into a folder of its own, which that locks and goes on in: a model whose
node is lost is tried on another, and keeps the parts that were predicted. Storage is shared by all nodes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeio import Progress, UserError
from edgepose.engines import Engine, EngineError, Finished, RayCluster, ray_cluster
from edgepose.errors import UsageError
from edgepose.evaluation.evaluate import evaluate
from edgepose.evaluation.subject import Request
from edgepose.results.results import DESKTOP, Results

_TRIES = 4  # of a model whose node is lost: one more than Ray would retry


@dataclass(frozen=True)
class Scored:
    """What became of one model: its results and where they lie, or why there are none."""

    model: Path
    results: Results | None = None
    path: Path | None = None
    error: UserError | None = None


def check_for_engine(engine: Engine, request: Request, retime: bool) -> None:
    """Refuse on a cluster what would be wrong there; raises UsageError."""
    if engine.is_local:
        return
    if request.target != DESKTOP:
        raise UsageError(f"--target {request.target} is at this machine", "leave --engine out")
    if request.speed or retime:
        raise UsageError(
            f"speed cannot be compared between the nodes of --engine {engine}, which do other work beside it",
            "add --no-speed; measure the models that matter on one quiet machine",
        )


def evaluate_on(
    engine: Engine,
    models: Sequence[Path],
    request: Request,
    out: Path,
    overwrite: bool,
    progress: Progress,
    say: Callable[[str], None],
) -> list[Scored]:
    """Score models on a cluster, in their order; what is wrong with one does not keep the others from it.

    Raises:
        UsageError: a wrong request.
        MissingPackage: Ray is not installed.
        EngineError: the cluster cannot be reached, or is gone; the same command goes on.
        OSError: the output cannot be written.
    """
    check_for_engine(engine, request, retime=False)
    human = request.human and request.human.absolute()
    request, out = replace(request, human=human), out.absolute()
    with ray_cluster(engine) as cluster:
        work = _Models(cluster, [model.absolute() for model in models], request, out, overwrite, say)
        work.run(progress)
        return [replace(work.scored[i], model=model) for i, model in enumerate(models)]


class _Models:
    """The models of one command, on their way through a cluster."""

    def __init__(
        self,
        cluster: RayCluster,
        models: Sequence[Path],
        request: Request,
        out: Path,
        overwrite: bool,
        say: Callable[[str], None],
    ) -> None:
        self._models, self._say = models, say
        self._arguments = (request, out, overwrite)
        keras = any(model.suffix == ".safetensors" for model in models)  # which takes all cores of a node
        cpus = int(min(cluster.node_cpus(), default=1)) if keras else request.threads
        self._tasks = cluster.tasks(_evaluate, cpus)
        self._waiting, self._losses = deque(range(len(models))), [0] * len(models)
        self.scored: dict[int, Scored] = {}

    def run(self, progress: Progress) -> None:
        """Score all; raises what stops all."""
        while len(self.scored) < len(self._models):
            while self._waiting and self._tasks.has_room():
                number = self._waiting.popleft()
                self._tasks.give(number, self._models[number], *self._arguments)
            progress(len(self.scored), len(self._models))
            for finished in self._tasks.finished(5.0):
                self._take(finished)

    def _take(self, finished: Finished[int]) -> None:
        number, error = finished.key, finished.error
        model = self._models[number]
        if finished.lost is not None:
            self._losses[number] += 1
            if self._losses[number] < _TRIES:
                self._waiting.append(number)
                return
            what = f"{model.name} was lost {_TRIES} times, at last since {finished.lost}"
            error = EngineError(what, "memory may have run out: give nodes with more, or leave --engine out")
        elif error is not None and not isinstance(error, UserError):
            raise error
        if error is not None:
            self.scored[number] = Scored(model, error=error)
            return
        results, path, told = finished.value
        self.scored[number] = Scored(model, results, path)
        for text in told:
            self._say(text)


def _evaluate(model: Path, request: Request, out: Path, overwrite: bool) -> tuple[Results, Path, list[str]]:
    """Score a model on a node; its results, where they lie, and what there was to say."""
    if not out.parent.exists():
        raise EngineError(
            f"a node does not see {out.parent}", "mount the storage on all nodes at the same path"
        )
    told: list[str] = []
    results, path = evaluate(model, request, out, overwrite, say=told.append)
    return results, path, told
