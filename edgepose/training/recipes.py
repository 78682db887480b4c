"""Run-cards: what a training was or is to be, with the command that does it."""

from __future__ import annotations

from dataclasses import dataclass

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Recipe:
    """A training with a name.

    Attributes:
        paper: where it comes from.
        command: what to type; words in capitals are the reader's to fill in.
        hardware, hours: what it was run on and how long it took.
        expected: the figures that it should end with, and whose they are.
    """

    key: str
    paper: str
    command: str
    hardware: str = NOT_MEASURED
    hours: str = NOT_MEASURED
    expected: str = NOT_MEASURED


def _paper(model: str, expected: str) -> Recipe:
    return Recipe(
        key=f"paper-{model}",
        paper="Groos et al. 2021: Adam, 1e-3, 100 epochs, flip, scale 0.75-1.25, rotation +-45 degrees",
        command=f"edgepose train --model {model} --data in-motion:DATA --init MPII.safetensors --out RUN",
        expected=expected,
    )


# For some hundreds of steps from weights that already localise.
_SHORT = (
    "--init MPII.safetensors --epochs 5 --learning-rate 0.0003 --schedule cosine --sigma efficientpose-final"
)


def _distil(key: str, paper: str, teacher: str, options: str) -> Recipe:
    words = f"edgepose distill --teacher {teacher} --student rt {options} {_SHORT} --out RUN"
    return Recipe(key, paper, words)


RECIPES = {
    r.key: r
    for r in (
        _paper("rt", "Table 1: PCKh@0.1 58.7, PCKh@0.5 99.7, ME 0.102"),
        _paper("b4", "Table 1: PCKh@0.1 81.1, PCKh@0.5 99.95, ME 0.068"),
        Recipe(
            "fine-tune",
            "none: ours, for some hundreds of steps on labels of another kind",
            f"edgepose train --model rt --data DATA {_SHORT} --out RUN",
        ),
        _distil(
            "distil",
            "FPD, Zhang et al. 2019: half the loss to a teacher, here one fine-tuned on the same labels",
            "i",
            "--teacher-weights FINE-TUNED.safetensors --data DATA --loss fpd",
        ),
        _distil(
            "distil-features",
            "DWPose, Yang et al. 2023, first stage: the teacher's features too, with a fading weight",
            "i",
            "--teacher-weights FINE-TUNED.safetensors --data DATA --loss features",
        ),
        _distil(
            "distil-unlabelled",
            "none: ours, a black box's word on frames without labels",
            "ii",
            "--teacher-weights TEACHER.tflite --data images:DIR --loss teacher-only --validation-split none",
        ),
    )
}
