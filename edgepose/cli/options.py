"""Options that more than one command takes, declared once: alone, or as groups that `spread` unfolds.

A group is a frozen dataclass; its fields are options. A command takes the group as one parameter, and passes
its values on as `vars(group)`, under the names that the request dataclasses have.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from edgepose.training.data import DataRequest
    from edgepose.training.request import FitRequest

Checkpoint = Annotated[
    str, typer.Argument(help="A .safetensors checkpoint, a run's folder, or default:MODEL.")
]
Data = Annotated[str, typer.Option(help="The data set: FORMAT:PATH, or a path whose layout is known.")]
_MIX = (
    "built-in:infants or built-in:infants-home, which are drawn for it. Give it several times to mix sets; "
    "=WEIGHT and ,crop=person,margin=LOW-HIGH,crops=N,turn=upright,ruler=NAME,labels=N,teacher=none may "
    "follow the path. labels is none, a count or a share: so many training frames keep theirs (draw=SEED "
    "says which), the others only their crop and turn. teacher=none leaves exact labels alone (distill)."
)
Mixture = Annotated[
    list[str],
    typer.Option(help=f"A data set: FORMAT:PATH, a path whose layout is known, or made-up infants, {_MIX}"),
]
MixtureOrNone = Annotated[
    list[str] | None,
    typer.Option(help=f"A data set: FORMAT:PATH, a path, or made-up infants (the default), {_MIX}"),
]
Out = Annotated[Path, typer.Option(help="The run's folder; the same command again goes on there.")]
KeypointsOfData = Annotated[
    str | None,
    typer.Option(
        "--keypoints",
        help="The keypoint set, or a keypoint file (.toml), to read the data set by, where it names its own.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Begin anew, and replace what an earlier command left in --out.")
]
Crop = Annotated[
    str, typer.Option(help="none: the whole image; person: the labelled keypoints plus --margin.")
]
Margin = Annotated[
    float,
    typer.Option(min=0.0, max=2.0, help="With --crop person: share of the box that is added on each side."),
]
Decode = Annotated[
    str | None,
    typer.Option(help="argmax, soft-argmax, taylor or upsampled-argmax; default: as the model was exported."),
]
Near = Annotated[
    bool, typer.Option("--near", help="Also match keypoints of slightly different definitions (hip, pelvis).")
]
Threads = Annotated[int, typer.Option(min=1, help="Threads of the runtime.")]
Ruler = Annotated[
    str | None,
    typer.Option(
        help="What distances are divided by: head, stand-in (for the head's length, by ears, nose, shoulders "
        "and hips), torso or box; default: head, or the stand-in where the set has no head segment."
    ),
]
CalibrationSplit = Annotated[str, typer.Option(help="The split that the calibration images come from.")]
Seed = Annotated[int, typer.Option(min=0, help="The seed of every random number.")]
Workers = Annotated[int, typer.Option(min=1, help="How many threads decode images.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Ranges = Annotated[
    str,
    typer.Option(
        help="How the ranges of activations are set: mse (least error in the maps), percentile or minmax."
    ),
]
Equalize = Annotated[
    bool,
    typer.Option("--equalize/--no-equalize", help="Apply cross-layer equalization before quantization."),
]
BiasCorrection = Annotated[
    bool, typer.Option("--bias-correction", help="Subtract each layer's mean error from its bias.")
]
Count = Annotated[int, typer.Option(min=1, help="How many images set the ranges of activations.")]

ENGINE = (
    "Where they run: local (processes of this machine), ray (a Ray of its own on this machine), ray:auto "
    "(the cluster that this machine is a node of), ray:HOST:PORT (a cluster, from one of its nodes) or "
    "ray://HOST:PORT (from outside); needs edgepose[ray] and storage that all nodes see."
)

_RUN = "The run"
_FRAMES = "Frames"
_TRAINING = "Training"


@dataclass(frozen=True)
class Frames:
    """Which frames a command trains on."""

    split: Annotated[str, typer.Option(help="The split to train on.", rich_help_panel=_FRAMES)] = "train"
    validation_split: Annotated[
        str, typer.Option(help="The split to validate on, or none.", rich_help_panel=_FRAMES)
    ] = "val"
    crop: Crop = "none"
    margin: Margin = 0.2
    limit: Annotated[
        int | None, typer.Option(min=1, help="Train on the first LIMIT frames only.", rich_help_panel=_FRAMES)
    ] = None

    select_by: Annotated[
        str | None,
        typer.Option(
            help="Which of several data sets chooses the best checkpoint, FORMAT:FOLDER; default: the first.",
            rich_help_panel=_FRAMES,
        ),
    ] = None

    drop_shared: Annotated[
        bool,
        typer.Option(
            "--drop-shared",
            help="Leave pictures out of a mixture's training that another split has too.",
            rich_help_panel=_FRAMES,
        ),
    ] = False

    def request(self, data: str | list[str], **more: Any) -> DataRequest:
        from edgepose.training.data import DataRequest

        first, *others = [data] if isinstance(data, str) else data
        return DataRequest(first, more=tuple(others), **vars(self), **more)


@dataclass(frozen=True)
class Keypoints:
    """Which keypoints a network learns; the fields are those of `DataRequest`."""

    keypoints: Annotated[
        str | None,
        typer.Option(
            help="The keypoint set, or keypoint file (.toml), the network learns; default: the data set's.",
            rich_help_panel=_FRAMES,
        ),
    ] = None
    near: Annotated[
        bool,
        typer.Option(
            "--near",
            help="Also take keypoints of slightly different definitions (hip, pelvis).",
            rich_help_panel=_FRAMES,
        ),
    ] = False
    partial: Annotated[
        bool,
        typer.Option(
            "--partial",
            help="Train even if some of the keypoints have no labels and no teacher.",
            rich_help_panel=_FRAMES,
        ),
    ] = False


Hosts = Annotated[
    str | None,
    typer.Option(
        help="Which of several processes that train together this is: I/N, from 0/N, each started by the "
        "same command; I/N@ADDRESS:PORT on several machines, with the address of process 0; or slurm.",
        rich_help_panel=_RUN,
    ),
]


@dataclass(frozen=True)
class Training:
    """What every training has; the fields are those of `FitRequest`."""

    batch: Annotated[
        int,
        typer.Option(
            min=1, help="How many frames a step takes; few hurt precision.", rich_help_panel=_TRAINING
        ),
    ] = 16
    learning_rate: Annotated[
        float, typer.Option(help="The highest learning rate of the run.", rich_help_panel=_TRAINING)
    ] = 1e-3
    augmentation: Annotated[
        str,
        typer.Option(
            help="How frames are varied: paper, paper-colour (colours too), home (shift, erased boxes too), "
            "home-any-turn (any angle), home-cutout (joints painted over too) or none.",
            rich_help_panel=_TRAINING,
        ),
    ] = "paper"
    seed: Seed = 0
    checkpoint_every: Annotated[
        int,
        typer.Option(
            min=1, help="Save the state every so many steps; a kill costs no more.", rich_help_panel=_RUN
        ),
    ] = 500
    memory_gib: Annotated[
        float,
        typer.Option(
            "--memory",
            min=0.0,
            help="How many GiB decoded frames may take; if they need more, they are decoded in every pass.",
            rich_help_panel=_RUN,
        ),
    ] = 4.0
    workers: Workers = 2
    overwrite: Overwrite = False


@dataclass(frozen=True)
class Schedule:
    """How long a network is trained, and how; the fields are those of `FitRequest`."""

    resolution: Annotated[
        int | None,
        typer.Option(
            help="Height and width of the network's input in pixels; default: the network's own.",
            rich_help_panel=_TRAINING,
        ),
    ] = None
    epochs: Annotated[
        int,
        typer.Option(
            min=1,
            help="How many epochs to train; each ends with a validation.",
            rich_help_panel=_TRAINING,
        ),
    ] = 100
    steps_per_epoch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many steps an epoch has; default: one pass over the data.",
            rich_help_panel=_TRAINING,
        ),
    ] = None
    accumulate: Annotated[
        int,
        typer.Option(
            min=1,
            help="Compute each batch in so many parts, where memory is short.",
            rich_help_panel=_TRAINING,
        ),
    ] = 1
    learning_rate_schedule: Annotated[
        str,
        typer.Option(
            "--schedule",
            help="How the learning rate changes: constant, cosine or step.",
            rich_help_panel=_TRAINING,
        ),
    ] = "constant"
    sigma_schedule: Annotated[
        str | None,
        typer.Option(
            "--sigma",
            help="The schedule of the target maps' sigma; default: the network's own.",
            rich_help_panel=_TRAINING,
        ),
    ] = None
    centre: Annotated[
        str,
        typer.Option(
            help="Where a target's peak lies: continuous, or integer as in the authors' framework.",
            rich_help_panel=_TRAINING,
        ),
    ] = "continuous"
    ema: Annotated[
        float | None,
        typer.Option(
            help="Validate and keep an exponential moving average of the weights, with this decay, such as "
            "0.999; default: the weights themselves.",
            rich_help_panel=_TRAINING,
        ),
    ] = None
    precision: Annotated[
        str,
        typer.Option(
            help="The type to compute in: auto (mixed on a GPU), float32, mixed_float16 or mixed_bfloat16.",
            rich_help_panel=_TRAINING,
        ),
    ] = "auto"
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write logs for TensorBoard.", rich_help_panel=_RUN)
    ] = False


@dataclass(frozen=True)
class FineTuning:
    """How a trained network is trained on for its size: by qat, prune and cluster."""

    loss: Annotated[
        str,
        typer.Option(
            help="What the network learns from: float (a float network's maps), labels, or both.",
            rich_help_panel=_TRAINING,
        ),
    ] = "float"
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="The checkpoint of the float network to learn from; default: CHECKPOINT itself.",
            rich_help_panel=_TRAINING,
        ),
    ] = None
    steps: Annotated[
        int, typer.Option(min=1, help="How many steps to train, at least.", rich_help_panel=_TRAINING)
    ] = 200

    def request(self, checkpoint: Path, data: DataRequest, out: Path, training: Training) -> FitRequest:
        from edgepose.compression.finetune import request_for

        return request_for(checkpoint, data, out, self.steps, **vars(training))


class Given:
    """Which options a user typed; a command takes it to refuse those that would be ignored."""

    def __init__(self, context: typer.Context) -> None:
        self._names = {
            name: next((p.opts[0] for p in context.command.params if p.name == name), name)
            for name in context.params
            if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
        }

    def refuse(self, *names: str, when: str, hint: str) -> None:
        """Raise UsageError where one of these was typed, which is without effect `when`."""
        from edgepose.errors import UsageError

        typed = [self._names[name] for name in names if name in self._names]
        if typed:
            verb = "has" if len(typed) == 1 else "have"
            raise UsageError(f"{', '.join(typed)} {verb} no effect {when}", f"leave it out, or {hint}")


def spread(**defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command: groups become options, `defaults` replace theirs; `Given` is handed in.

    --margin is refused without --crop person.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        groups: dict[str, Any] = {}
        parameters: list[inspect.Parameter] = []
        given: str | None = None
        for name, parameter in inspect.signature(function).parameters.items():
            kind = hints[name]
            if kind is Given:
                given = name
            elif is_dataclass(kind):
                groups[name] = kind
                inner = get_type_hints(kind, include_extras=True)
                parameters += [
                    _keyword(f.name, defaults.get(f.name, f.default), inner[f.name]) for f in fields(kind)
                ]
            else:
                parameters.append(_keyword(name, parameter.default, kind))

        @functools.wraps(function)
        def command(_context: typer.Context, **values: Any) -> None:
            typed = Given(_context)
            if values.get("crop", "person") != "person":
                typed.refuse("margin", when="without --crop person", hint="add --crop person")
            for name, kind in groups.items():
                values[name] = kind(**{f.name: values.pop(f.name) for f in fields(kind)})
            if given is not None:
                values[given] = typed
            function(**values)

        whole = [_keyword("_context", inspect.Parameter.empty, typer.Context), *parameters]
        command.__signature__ = inspect.Signature(whole)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in whole}
        del command.__wrapped__
        return command

    return decorate


def _keyword(name: str, default: Any, kind: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def say(text: str) -> None:
    """A line for whoever watches; results go to stdout."""
    typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print dataclasses, mappings and lists as JSON: what `AsJson` promises."""
    import json

    from edgeio.records import to_plain

    typer.echo(json.dumps(to_plain(value), indent=1))
