"""Fit a network to labelled frames, by the paper's protocol unless told otherwise."""

from __future__ import annotations

from pathlib import Path

from edgepose.training.data import TrainingData
from edgepose.training.loop import Listener
from edgepose.training.losses import Term
from edgepose.training.request import FitRequest
from edgepose.training.setup import assembled


def fit(request: FitRequest, listener: Listener | None = None, material: TrainingData | None = None) -> Path:
    """Train a network, or go on training it.

    Args:
        material: the frames, where they are not those that `request.data` says.

    Returns:
        the checkpoint that scored best on the validation split, or the last one without validation.

    Raises:
        UserError: bad input, or a loss that is no longer a number; says what and what to do.
        KeyboardInterrupt: asked to stop; the state is saved first.
    """
    with assembled(request, listener, material=material) as assembly:
        model = assembly.network()
        goal = assembly.objective(Term("ground_truth", assembly.ground_truth(model)))
        return assembly.train(model, goal)
