"""Options that more than one command takes, declared once: alone here, or as groups that `spread` unfolds.

A group is a frozen dataclass (`training_options.py`); its fields are options. A command takes the group as
one parameter, and passes its values on as `vars(group)`, under the names that the request dataclasses have.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

Checkpoint = Annotated[
    str, typer.Argument(help="A .safetensors checkpoint, a run's folder, or default:MODEL.")
]
Data = Annotated[str, typer.Option(help="The data set: FORMAT:PATH, or a path whose layout is known.")]
_MIX = (
    "built-in:infants, built-in:infants-home or built-in:infants-home-postures, which are drawn for it. Give "
    "it several times to mix sets; "
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
RUNNABLE = "The model: a .tflite file, a checkpoint (.safetensors), default:MODEL or default:MODEL-int8."
Flip = Annotated[
    bool,
    typer.Option(
        "--flip",
        help="Flip test: take the mean of what the model gives for the picture and for its mirror image.",
    ),
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
