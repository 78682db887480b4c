"""The table of the paper's experiments: what each needs, and how it is run at each scale. Data only.

Every experiment trains networks in one or more ways (its arms) and scores them. At "full" scale the
settings are the paper's protocol; the other scales are ours, and say nothing of the paper's figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeio import lookup
from edgepose.training.builtin import BuiltIn

PAPER_NETWORKS = ("openpose", "cima", "rt", "i", "ii", "iii", "iv", "b4")


@dataclass(frozen=True)
class Scale:
    """How much is spent.

    Attributes:
        key: its one name, as in `--scale miniature`.
        what: what it is and what to make of its numbers, for the reader of a report.
        built_in: the synthetic infants that take the place of data that is not given; None asks for data.
    """

    key: str
    what: str
    built_in: BuiltIn | None


MINIATURE, SHORT, FULL = "miniature", "short", "full"
SCALES = {
    s.key: s
    for s in (
        Scale(
            MINIATURE,
            "a few training steps at most, at low resolution, on a few images, to show the way from data to "
            "table; the numbers say nothing of the networks",
            BuiltIn(25, 3, (240, 320)),
        ),
        Scale(
            SHORT,
            "a tenth or less of the paper's training, from weights that come with edgepose where there are "
            "some; the numbers rank networks at best",
            BuiltIn(100, 20, (480, 640)),
        ),
        Scale(FULL, "the paper's protocol", None),
    )
}


@dataclass(frozen=True)
class Arm:
    """One way to train a network.

    Attributes:
        key: what its name ends with; empty for the plain way, which experiments share.
        batch: frames a step; None for the settings' own.
        images: training images; None for all, 0 for none: the pretrained network as it is.
        pretrained: start from the weights given for that, if any; else from nothing.
    """

    key: str = ""
    batch: int | None = None
    images: int | None = None
    pretrained: bool = True

    def name(self, network: str) -> str:
        """Of the network trained so: also the stem of its files."""
        return f"{network}-{self.key}" if self.key else network


PLAIN = Arm()


@dataclass(frozen=True)
class ExperimentSettings:
    """An experiment at one scale.

    Attributes:
        networks: keys of the networks, unless the user names others.
        arms: ways to train each.
        epochs, steps_per_epoch, batch, resolution, schedule: see `FitRequest`.
        short_sigma: targets for minutes of training, instead of the paper's sigma over 100 epochs.
        project_weights: weights that come with edgepose stand for trained networks and for pretraining.
        limit: score only the first so many images.
        speed: measure latency too.
    """

    networks: tuple[str, ...] = PAPER_NETWORKS
    arms: tuple[Arm, ...] = (PLAIN,)
    epochs: int = 100
    steps_per_epoch: int | None = None
    batch: int = 16
    resolution: int | None = None
    schedule: str = "constant"
    short_sigma: bool = False
    project_weights: bool = False
    limit: int | None = None
    speed: bool = False


def _miniature(
    *networks: str, arms: tuple[Arm, ...] = (PLAIN,), epochs: int = 1, steps: int | None = 3
) -> ExperimentSettings:
    return ExperimentSettings(
        networks=networks,
        arms=arms,
        epochs=epochs,
        steps_per_epoch=steps,
        batch=4,
        resolution=64,
        short_sigma=True,
        project_weights=True,
        limit=12,
    )


def _short(*networks: str, arms: tuple[Arm, ...] = (PLAIN,), speed: bool = False) -> ExperimentSettings:
    return ExperimentSettings(
        networks=networks,
        arms=arms,
        epochs=10,
        schedule="cosine",
        short_sigma=True,
        project_weights=True,
        speed=speed,
    )


def _samples(*counts: int) -> tuple[Arm, ...]:
    """Training images with and without pretraining: none, `counts`, and all."""
    some = [Arm(f"{n}-{how}", images=n, pretrained=how == "pretrained") for n in counts for how in _HOW]
    return (Arm("0-pretrained", images=0), *some, PLAIN, Arm("all-scratch", pretrained=False))


_HOW = ("pretrained", "scratch")
_BATCHES = (PLAIN, Arm("batch4", batch=4))
_MINIATURE_BATCHES = (Arm("batch16", batch=16), Arm("batch4", batch=4))


@dataclass(frozen=True)
class Experiment:
    """One of the paper's tables or figures.

    Attributes:
        key: its one name, as in `edgepose paper table1`.
        title: of its report.
        question: what it answers, for a reader.
        needs: what the user must have for the full scale.
        scales: settings by scale.
        split: of the data that is scored.
        varies_training: the training is what is compared, so that finished networks cannot be given.
        transfer: scored on MINI-RGBD, by its 12 keypoints and head rule.
    """

    key: str
    title: str
    question: str
    needs: str
    scales: dict[str, ExperimentSettings]
    split: str = "test"
    varies_training: bool = False
    transfer: bool = False


_IN_MOTION = "--data: In-Motion Poses; --init KEY=MPII.safetensors, or --models KEY=TRAINED.safetensors"
_RATERS = f"{_IN_MOTION}; --raters FILE, else the published spread"
_TABLE_2 = ("openpose", "cima", "iii", "b4")

EXPERIMENTS = {
    e.key: e
    for e in (
        Experiment(
            "table1",
            "Table 1: performance of the networks",
            "How well does each network place keypoints, and what does it cost?",
            _IN_MOTION,
            {
                FULL: ExperimentSettings(speed=True),
                SHORT: _short(*PAPER_NETWORKS, speed=True),
                MINIATURE: _miniature("cima", "rt", "i", "b4"),
            },
        ),
        Experiment(
            "table2",
            "Table 2: human-level performance by keypoint",
            "On which keypoints is a network as close as 95 % of human marks are?",
            _RATERS,
            {
                FULL: ExperimentSettings(_TABLE_2),
                SHORT: _short("rt", "i", "cima", "b4"),
                MINIATURE: _miniature("rt", "cima"),
            },
        ),
        Experiment(
            "table3",
            "Table 3: agreement of errors with the spread of human raters",
            "Are the keypoints that are hard for a network those that are hard for people?",
            _RATERS,
            {
                FULL: ExperimentSettings(_TABLE_2),
                SHORT: _short("rt", "i", "cima", "b4"),
                MINIATURE: _miniature("rt", "cima"),
            },
        ),
        Experiment(
            "table5",
            "Table 5: training with a batch of 4",
            "What does a small batch cost, when all else stays the same?",
            "--data: In-Motion Poses; --init KEY=MPII.safetensors",
            {
                FULL: ExperimentSettings(("rt", "i", "ii", "iii"), _BATCHES),
                SHORT: _short("rt", "i", arms=_BATCHES),
                MINIATURE: _miniature("rt", arms=_MINIATURE_BATCHES, steps=None),
            },
            varies_training=True,
        ),
        Experiment(
            "table6",
            "Table 6: transfer to MINI-RGBD",
            "Does a network that learnt from one set of recordings work on another?",
            "--data mini-rgbd:PATH; --models KEY=TRAINED.safetensors, or --train-data: In-Motion Poses",
            {
                FULL: ExperimentSettings(),
                SHORT: _short("rt", "i", "cima", "b4"),
                MINIATURE: _miniature("rt", "cima"),
            },
            split="all",
            transfer=True,
        ),
        Experiment(
            "fig4",
            "Figure 4: errors of networks beside the spread of raters",
            "How are a network's errors distributed, beside the distances between human marks?",
            _RATERS,
            {
                FULL: ExperimentSettings(_TABLE_2),
                SHORT: _short("rt", "i", "cima", "b4"),
                MINIATURE: _miniature("rt", "i"),
            },
        ),
        Experiment(
            "fig5",
            "Figure 5: sample efficiency",
            "How many annotated images does a network need, with and without pretraining?",
            "--data: In-Motion Poses with a videos.csv that names setups; --init KEY=MPII.safetensors",
            {
                FULL: ExperimentSettings(("rt", "b4"), _samples(100, 300, 1000, 3000, 10000)),
                SHORT: _short("rt", arms=_samples(100, 400)),
                MINIATURE: _miniature("rt", arms=_samples(12), epochs=2, steps=None),
            },
            varies_training=True,
        ),
    )
}


def experiment(key: str) -> Experiment:
    """The experiment called `key`; raises UnknownName."""
    return lookup(EXPERIMENTS, "experiment", key)


def settings_at(chosen: Experiment, scale: str) -> ExperimentSettings:
    """An experiment's settings at a scale; raises UnknownName."""
    return lookup(chosen.scales, "scale", scale)
