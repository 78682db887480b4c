"""What a user asks of `edgepose paper`, checked before anything heavy is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgepose.errors import UsageError
from edgepose.models.pretrained import checkpoint_path
from edgepose.models.variants import variant
from edgepose.paper.experiments import SCALES, Experiment, Settings, experiment, settings_at


@dataclass(frozen=True)
class PaperRequest:
    """One experiment.

    Attributes:
        experiment: its key.
        out: shared by experiments, so that they share trained networks.
        scale: its key.
        data: what is scored, and trained on. None for the made-up infants of the scale.
        train_data: what is trained on, where it is another set than `data`.
        networks: keys of networks with a trained model, or None where it is to be trained; empty for those
            of the scale.
        init: by network, the checkpoint that training starts from.
        raters: a raters' file or a human.json.
        workers: threads that decode images.
        seed: of training, sampling and the bootstrap.
        overwrite: replace trainings and scores of other settings.
    """

    experiment: str
    out: Path
    scale: str
    data: str | None = None
    train_data: str | None = None
    networks: Mapping[str, Path | None] = field(default_factory=dict)
    init: Mapping[str, Path] = field(default_factory=dict)
    raters: Path | None = None
    workers: int = 2
    seed: int = 0
    overwrite: bool = False

    @property
    def chosen(self) -> Experiment:
        return experiment(self.experiment)

    @property
    def settings(self) -> Settings:
        return settings_at(self.chosen, self.scale)

    @property
    def keys(self) -> tuple[str, ...]:
        """Networks of the run, in the order of their rows."""
        return tuple(self.networks) or self.settings.networks

    @property
    def folder(self) -> Path:
        """Where the experiment's own files go."""
        return self.out / self.experiment

    def check(self) -> None:
        """Raise UsageError or UnknownName for what can never work."""
        chosen = self.chosen
        settings_at(chosen, self.scale)
        for key in (*self.networks, *self.init):
            variant(key)
        given = [key for key, path in self.networks.items() if path is not None]
        if chosen.varies_training and given:
            raise UsageError(
                f"{chosen.key} trains every network itself, so --models {given[0]}=... cannot stand for one",
                f"give --models {given[0]}, and --init {given[0]}=... to start from",
            )
        self._check_used(given)
        for path in (*self.networks.values(), *self.init.values(), self.raters):
            if path is not None and not path.is_file():
                raise UsageError(f"{path} does not exist or is not a file", "check the path")
        if self.data is None and SCALES[self.scale].built_in is None:
            raise UsageError(f"{chosen.key} at scale {self.scale} needs --data", f"it needs {chosen.needs}")
        if chosen.transfer and self.raters is not None:
            raise UsageError(f"{chosen.key} holds nothing against raters", "leave --raters out")
        if self.seed < 0:
            raise UsageError(f"the seed is {self.seed}", "give 0 or more")
        if chosen.transfer and self.data is not None and self.train_data is None:
            untrained = [key for key in self.keys if self.networks.get(key) is None]
            if untrained and SCALES[self.scale].built_in is None:
                raise UsageError(
                    f"{chosen.key} has nothing to train {', '.join(untrained)} on",
                    "give --train-data, or --models KEY=CHECKPOINT for each network",
                )

    def _check_used(self, given: Sequence[str]) -> None:
        """Raise UsageError for what would be ignored; `given` are the networks that come trained."""
        for key in self.init:
            why = "that network is not in this run" if key not in self.keys else "--models gives it trained"
            if key not in self.keys or key in given:
                raise UsageError(
                    f"--init {key}=... has no effect: {why}", f"leave it out, or give --models {key}"
                )
        if self.train_data is not None and set(self.keys) <= set(given):
            raise UsageError(
                "--train-data has no effect, since --models gives every network trained", "leave it out"
            )


def named_paths(words: Sequence[str], option: str) -> dict[str, Path | None]:
    """`KEY=CHECKPOINT` or `KEY`, as the user repeats them.

    Raises:
        UsageError: a key twice, or an empty one.
        UnknownName: no such network, or no weights come for a default.
    """
    found: dict[str, Path | None] = {}
    for word in words:
        key, sign, path = word.partition("=")
        if key in found or not key or (sign and not path):
            wrong = "names a network twice" if key in found else "is neither KEY nor KEY=CHECKPOINT"
            raise UsageError(f"{option} {word} {wrong}", f"write {option} rt=path/to/rt.safetensors")
        variant(key)
        found[key] = checkpoint_path(path) if sign else None
    return found


def init_paths(words: Sequence[str]) -> dict[str, Path]:
    """`KEY=CHECKPOINT`; raises as `named_paths`, and UsageError for a key alone."""
    found = named_paths(words, "--init")
    alone = [key for key, path in found.items() if path is None]
    if alone:
        raise UsageError(f"--init {alone[0]} names no checkpoint", f"write --init {alone[0]}=CHECKPOINT")
    return {key: path for key, path in found.items() if path is not None}


@dataclass(frozen=True)
class ProgressReporter:
    """Who is told of a run's progress.

    Attributes:
        say: remarks.
        step: done, in all: of the frames that are drawn or scored, or the steps that are trained.
    """

    say: Callable[[str], None] = lambda text: None
    step: Callable[[int, int], None] = lambda done, total: None
