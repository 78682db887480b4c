"""`edgepose cluster`: let the weights of a kernel share a few values."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepose.cli import options, training_options
from edgepose.cli.epochs import Epochs, resumable
from edgepose.cli.progress import bar
from edgepose.cli.running import draw_built_in


@options.spread(steps=200, batch=8, learning_rate=1e-4, checkpoint_every=25, validation_split="none")
def command(
    checkpoint: options.Checkpoint,
    out: options.Out,
    *,
    clusters: Annotated[int, typer.Option(help="How many values a kernel may have, from 4 to 128.")] = 32,
    data: Annotated[
        str | None,
        typer.Option(
            help="The data set to train the clusters on, FORMAT:PATH or a path; default: no training."
        ),
    ] = None,
    fine: training_options.FineTuning,
    frames: training_options.Frames,
    training: training_options.Training,
    as_json: options.AsJson = False,
    given: options.Given,
) -> None:
    """Cluster a network's weights, so that its 8-bit file deflates well.

    Left as they are: the convolutions that read the image, depthwise ones, and those that give an output.
    Export what comes out with `edgepose quantize --no-equalize`, or by recipe int8 or
    dynamic; equalization, and training, would part the values again. With --data, Ctrl-C saves the
    last step, and the same command goes on.
    """
    from edgepose.compression import clustering
    from edgepose.training.loop import Listener
    from edgepose.training.starting import trained_path

    start, told = trained_path(checkpoint), Epochs()
    if data is None:
        groups = (fine, frames, training)
        unused = {name for group in groups for name in vars(group)} - {"overwrite"}
        given.refuse(*sorted(unused), when="without --data", hint="add --data")
        listener = Listener(say=options.say)
        told.print(clustering.cluster(start, clusters, out, training.overwrite, listener), as_json)
        return
    with resumable(out):
        fit = fine.request(start, frames.request(draw_built_in([data])), out, training)
        request = clustering.ClusterRequest(start, fit, fine.loss, fine.teacher_path, count=clusters)
        with bar(f"clustering {start.stem}", "frames, then steps", forecast=False) as progress:
            kept = clustering.cluster_and_train(request, Listener(progress, told.tell, options.say))
    told.print(kept, as_json)
