"""Run-cards: what a training was or is to be, beside the settings that reproduce it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgepose.training.material import DataRequest
from edgepose.training.request import FitRequest


@dataclass(frozen=True)
class Recipe:
    """A training with a name.

    Attributes:
        paper: where it comes from.
        command: what to type.
        hardware, hours: what it was run on and how long it took, or "not measured".
        expected: the figures that it should end with, and whose they are.
        settings: what differs from FitRequest's defaults.
    """

    key: str
    model: str
    paper: str
    command: str
    hardware: str
    hours: str
    expected: str
    settings: dict[str, Any] = field(default_factory=dict)

    def request(self, data: DataRequest, out: Path) -> FitRequest:
        """The request that the command makes."""
        return FitRequest(self.model, data, out, **self.settings)


def _paper(model: str, expected: str) -> Recipe:
    return Recipe(
        key=f"paper-{model}",
        model=model,
        paper="Groos et al. 2021: Adam, 1e-3, 100 epochs, flip, scale 0.75-1.25, rotation +-45 degrees",
        command=f"edgepose train --model {model} --data in-motion:DATA --init MPII.safetensors --out RUN",
        hardware="not measured",
        hours="not measured",
        expected=expected,
    )


RECIPES = {
    r.key: r
    for r in (
        _paper("rt", "Table 1: PCKh@0.1 58.7, PCKh@0.5 99.7, ME 0.102"),
        _paper("b4", "Table 1: PCKh@0.1 81.1, PCKh@0.5 99.95, ME 0.068"),
        Recipe(
            key="fine-tune",
            model="rt",
            paper="none: ours, for some hundreds of steps on labels of another kind",
            command="edgepose train --model rt --data DATA --init MPII.safetensors --epochs 5 "
            "--learning-rate 0.0003 --schedule cosine --sigma efficientpose-final --out RUN",
            hardware="not measured",
            hours="not measured",
            expected="not measured",
            settings={
                "epochs": 5,
                "learning_rate": 3e-4,
                "learning_rate_schedule": "cosine",
                "sigma_schedule": "efficientpose-final",
            },
        ),
    )
}
