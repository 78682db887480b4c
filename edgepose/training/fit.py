"""Fit a network to labelled frames, by the paper's protocol unless told otherwise."""

from __future__ import annotations

from pathlib import Path

from edgepose.training.data import TrainingData
from edgepose.training.hosts import joined
from edgepose.training.loop import Listener
from edgepose.training.losses import Term
from edgepose.training.request import FitRequest
from edgepose.training.setup import open_setup


def fit(
    request: FitRequest, listener: Listener | None = None, training_data: TrainingData | None = None
) -> Path:
    """Train a network, or go on training it.

    Args:
        training_data: the frames, where they are not those that `request.data` says.

    Returns:
        the checkpoint that scored best on the validation split, or the last one without validation.

    Raises:
        UserError: bad input, a loss that is no longer a number, or another process that is gone; says what
            and what to do.
        KeyboardInterrupt: asked to stop; the state is saved first.
    """
    with joined(request.hosts):
        return fit_joined(request, listener, training_data)


def fit_joined(
    request: FitRequest, listener: Listener | None = None, training_data: TrainingData | None = None
) -> Path:
    """`fit` where several processes that train together have found each other."""
    with open_setup(request, listener, training_data=training_data) as setup:
        model = setup.network()
        goal = setup.objective(Term("ground_truth", setup.ground_truth(model)))
        return setup.train(model, goal)
