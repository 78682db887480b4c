"""Run-cards: what a training was or is to be, with the command that does it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from edgepose.errors import UsageError

_WORD = re.compile(r"\b[A-Z][A-Z-]*[A-Z](?:\.[a-z]+)?\b")  # what is the reader's to fill in

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class TrainingRecipe:
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

    @property
    def words(self) -> tuple[str, ...]:
        """The words in capitals, each once, in their order."""
        return tuple(dict.fromkeys(_WORD.findall(self.command)))

    def filled(self, values: Sequence[str]) -> list[str]:
        """The command's words with every `WORD=VALUE` put in.

        Raises:
            UsageError: a value for no word of the command, or a word without a value.
        """
        given = dict(value.partition("=")[::2] for value in values)
        wanted = " ".join(f"{word}=..." for word in self.words)
        for word in given:
            if word not in self.words:
                raise UsageError(f"{self.key} has no word '{word}'", f"give {wanted}")
        if missing := [word for word in self.words if not given.get(word)]:
            raise UsageError(f"{self.key} needs a value for {', '.join(missing)}", f"give {wanted}")
        return [_WORD.sub(lambda found: given[found[0]], part) for part in shlex.split(self.command)]


def _paper(model: str, expected: str) -> TrainingRecipe:
    return TrainingRecipe(
        key=f"paper-{model}",
        paper="Groos et al. 2021: Adam, 1e-3, 100 epochs, flip, scale 0.75-1.25, rotation +-45 degrees",
        command=f"edgepose train --model {model} --data in-motion:DATA --init MPII.safetensors --out RUN",
        expected=expected,
    )


# For some hundreds of steps from weights that already localise.
_SHORT = (
    "--init MPII.safetensors --epochs 3 --learning-rate 0.001 --schedule cosine --sigma efficientpose-final"
)
_TWO_CORES = "two cores of a shared server (AVX2), no GPU, beside other work"
_LSPET = "LSPET, persons cropped, 285 steps at batch 16, PCKh@0.5/0.2/0.1 on 400 photographs: "


def _distil(key: str, paper: str, teacher: str, options: str, *measured: str) -> TrainingRecipe:
    words = f"edgepose distill --teacher {teacher} --student rt {options} {_SHORT} --out RUN"
    return TrainingRecipe(key, paper, words, *measured)


# Real infants (SyRIP), adults in unusual poses (LSPET and what it leaves out), and made-up infants:
# INFANTS is `data synth --videos 100 --frames 5 --seed 0 --size 640x480`, HOME is
# `data synth --variety home --videos 1000 --frames 2 --seed 5 --size 320x240`, POSTURES the same with
# `--variety home-postures --seed 7`; other seeds in later runs, 10 and 11 in RT's and RT Lite's last.
def _mixture(
    photographs: float,
    adults: float,
    more: float,
    above: float,
    home: float,
    postures: float,
    made_up: str = "",
    augmentation: str = "home",
) -> str:
    """The options of all of them, each with its weight; and what stands behind each made-up set."""
    return (
        "--keypoints in-motion-19 --partial --drop-shared "
        f"--data coco:SYRIP={photographs},crop=person,margin=0.1-0.6,crops=5,turn=upright "
        f"--data lspet:LSPET={adults},crop=person,margin=0.25,turn=upright "
        f"--data lspet:LSPET-MORE={more},crop=person,margin=0.25,turn=upright "
        f"--data in-motion:INFANTS={above}{made_up} "
        f"--data in-motion:HOME={home},crop=person,margin=0.1-0.6,turn=upright{made_up} "
        f"--data in-motion:POSTURES={postures},crop=person,margin=0.1-0.6,turn=upright{made_up} "
        f"--augmentation {augmentation} --batch 16 --out RUN"
    )


_EVEN = _mixture(3, 1, 0.4, 1, 1.3, 2)
# Small networks err on the photographs that they learn from too (docs/results.md): more of them.
_PHOTOGRAPHS_FIRST = _mixture(6, 0.7, 0.3, 0.5, 1, 1.5)
# What has learnt them by heart hears a teacher on photographs, and sees more in front of joints.
_TAUGHT = _mixture(5, 0.8, 0.7, 0.5, 1.2, 1.8, ",teacher=none", "home-patches")
# Once the settings stand, the validation part teaches too.
_ALL = "--split train+val --validation-split none "
_FINAL = "--sigma efficientpose-final --schedule cosine"


_TRAIN = "train --model"
_DISTIL = "distill --teacher i --teacher-flip --teacher-confidence 0.1 --teacher-share 0.4 --student"


def _real(network: str, paper: str, options: str, data: str, command: str = _TRAIN) -> TrainingRecipe:
    words = f"edgepose {command} {network} --init START {options} {_FINAL} {data}"
    return TrainingRecipe(
        f"real-{network}", f"none: ours, the default weights of {network}{paper}", words, _TWO_CORES
    )


TRAINING_RECIPES = {
    r.key: r
    for r in (
        _paper("rt", "Table 1: PCKh@0.1 58.7, PCKh@0.5 99.7, ME 0.102"),
        _paper("b4", "Table 1: PCKh@0.1 81.1, PCKh@0.5 99.95, ME 0.068"),
        _real(
            "i",
            ", after 1,000 steps without POSTURES and 500 of real-b4's mixture",
            "--learning-rate 0.0007 --epochs 2 --steps-per-epoch 200 --ema 0.99",
            _PHOTOGRAPHS_FIRST,
        ),
        _real(
            "rt",
            ", after 1,600 steps of real-b4's mixture and 2,800 of real-i's; what ships is the mean "
            "of START and this (benchmarks/average_weights.py)",
            "--learning-rate 0.001 --epochs 9 --steps-per-epoch 200 --ema 0.99",
            _ALL + _TAUGHT,
            _DISTIL,
        ),
        _real(
            "rt-lite",
            ", after 1,600 steps of real-b4's mixture and 3,800 of real-i's; what ships is the mean "
            "of START and this (benchmarks/average_weights.py)",
            "--learning-rate 0.001 --epochs 10 --steps-per-epoch 200 --ema 0.99",
            _ALL + _TAUGHT,
            _DISTIL,
        ),
        TrainingRecipe(
            "real-b4",
            "none: ours, B4's first run on real infants; START holds the authors' EfficientPose II, imported",
            "edgepose train --model b4 --init START --resolution 128 --freeze-blocks 3 "
            "--precision bfloat16_products --ema 0.998 --epochs 12 --steps-per-epoch 200 " + _EVEN,
            "two cores of a shared server (AMX), no GPU: 0.9 s a step",
            expected="SyRIP's validation part, PCKh*@0.5/0.1: 65.7/13.6 after 1,200 steps; 73.6/35.4 after "
            "1,260 more at 192 px with --sigma hourglass-final, 2.3 s a step; I has 85.0/51.5 there. To be "
            "followed by 256 px",
        ),
        TrainingRecipe(
            "coco-17",
            "none: ours, RT for COCO's keypoints; HOME and POSTURES as in real-rt",
            "edgepose train --model rt --init default --keypoints coco-17 --partial --drop-shared "
            "--data coco:SYRIP=4,crop=person,margin=0.1-0.6,crops=5,turn=upright "
            "--data lspet:LSPET=1,crop=person,margin=0.25,turn=upright "
            "--data in-motion:HOME=1,crop=person,margin=0.1-0.6,turn=upright "
            "--data in-motion:POSTURES=2,crop=person,margin=0.1-0.6,turn=upright "
            "--augmentation home --sigma efficientpose-final --schedule cosine --learning-rate 0.001 "
            "--epochs 2 --steps-per-epoch 100 --ema 0.98 --batch 16 --out RUN",
            "two cores of a shared server (AMX), no GPU",
            "0.1",
            "SyRIP's test part, cropped and turned by the labels: OKS AP 58.0, AP50 93.2, AP75 61.1, AR 61.2",
        ),
        TrainingRecipe(
            "fine-tune",
            "none: ours, for some hundreds of steps on labels of another kind",
            f"edgepose train --model rt --data DATA {_SHORT} --out RUN",
            _TWO_CORES,
            "0.2",
            f"{_LSPET}69.3/36.5/14.8 before, 76.4/46.1/19.0 after; 76.9/46.9/19.5 after 570 steps",
        ),
        _distil(
            "distil",
            "FPD, Zhang et al. 2019: half the loss to a teacher, here one fine-tuned on the same labels",
            "i",
            "--teacher-weights FINE-TUNED.safetensors --data DATA --loss fpd",
            _TWO_CORES,
            "0.25",
            f"{_LSPET}77.1/46.6/19.4 after 570 steps, where labels alone gave 76.9/46.9/19.5",
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
            _TWO_CORES,
            "0.35, half of it the teacher's",
            f"{_LSPET}at 0.0003, without a label, 72.1/39.8/15.6; before 69.3/36.5/14.8",
        ),
        TrainingRecipe(
            "distil-few-labels",
            "PoseDual, Xie et al. 2021: easy and hard view; what has labels is left to them",
            "edgepose distill --teacher i --student rt-lite --keypoints in-motion-19 --partial --drop-shared "
            "--teacher-confidence 0.1 --teacher-share 0.1 --augmentation home-cutout --resolution 128 "
            "--data coco:SYRIP=4,crop=person,margin=0.35,turn=upright,labels=50 "
            "--data lspet:LSPET-MORE=0.5,crop=person,turn=upright,labels=none --limit 800 "
            "--init MPII.safetensors --sigma efficientpose-final --schedule cosine --learning-rate 0.001 "
            "--epochs 5 --steps-per-epoch 120 --batch 16 --out RUN",
            "two cores of a shared server (AVX-512), no GPU, beside other work",
            "0.1",
            "SyRIP's test part, limbs, three seeds: PCKh*@0.5/0.2/0.1 75.8/42.7/18.0, where labels alone "
            "gave 70.7/38.9/16.1",
        ),
    )
}
