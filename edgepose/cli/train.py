"""`edgepose train`: fit a network to labelled frames."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepose.cli import options, training_options
from edgepose.cli.epochs import Epochs, resumable
from edgepose.cli.progress import bar
from edgepose.cli.running import draw_built_in


@options.spread()
def command(
    model: Annotated[str, typer.Option(help="The network; `edgepose models` lists them.")],
    data: options.Mixture,
    out: options.Out,
    *,
    init: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint to start from, of the network or of a larger one that it was cut from; or "
            "default: the project's own. If absent, weights are random."
        ),
    ] = None,
    frames: training_options.Frames,
    keypoints: training_options.Keypoints,
    schedule: training_options.Schedule,
    training: training_options.Training,
    hosts: training_options.Hosts = None,
    as_json: options.AsJson = False,
) -> None:
    """Train a network, by the paper's protocol unless told otherwise.

    Writes OUT/best.safetensors (by PCKh@0.1 on the validation split), OUT/last.safetensors and
    OUT/log.csv. Ctrl-C saves the last step; the same command goes on from it and ends with
    the same weights as a run that was not interrupted.
    """
    from edgepose.training.fit import fit
    from edgepose.training.hosts import process_index
    from edgepose.training.loop import Listener
    from edgepose.training.request import FitRequest
    from edgepose.training.starting import start_path

    told = Epochs()
    with resumable(out):
        request = FitRequest(
            model=model,
            data=frames.request(draw_built_in(data), **vars(keypoints)),
            out=out,
            init=start_path(init, model),
            hosts=hosts,
            **vars(schedule),
            **vars(training),
        )
        with bar(f"training {model}", "frames, then steps", forecast=False) as progress:
            kept = fit(request, Listener(progress, told.tell, options.say))
    if process_index() == 0:
        told.print(kept, as_json)
