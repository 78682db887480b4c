"""Writes docs/commands: a page for each command, read out of the command line itself.

    make docs

What a page says of purpose, arguments, options and defaults stands in `edgepose/cli` only. The examples
stand here; tests/test_docs.py runs them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import typer

import edgepose.cli
from edgeio import replacing

FOLDER = Path(__file__).with_name("commands")
_PROGRAM = "edgepose"
_KINDS = {int: "whole number", float: "number", str: "text", Path: "path"}


@dataclass(frozen=True)
class Example:
    """A command, and what it is for."""

    says: str
    command: str


EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    "bundle make": (
        Example(
            "The file for the phone, with its scores:",
            "edgepose bundle models/rt-lite-int8-ptq-maps.tflite --report scored --out app.zip",
        ),
    ),
    "bundle verify": (Example("What an app's build should do first:", "edgepose bundle verify app.zip"),),
    "calibrate-confidence": (
        Example(
            "From made-up infants that the weights were not trained on:",
            "edgepose calibrate-confidence default:rt-lite --data infants --split val --crop person "
            "--margin 0.35 --out confidence.json",
        ),
    ),
    "cluster": (
        Example(
            "Without training, in seconds:",
            "edgepose cluster default:rt-lite --clusters 32 --out runs/clustered",
        ),
    ),
    "compare": (
        Example(
            "A report on a network and its file for the phone:",
            "edgepose compare scored --baseline rt-lite --out report",
        ),
        Example(
            "Networks of different keypoints, on those that all of them have:",
            "edgepose compare runs/peers --common --out reports/common",
        ),
    ),
    "data info": (
        Example("What is in a set, and what was left out:", "edgepose data info infants"),
        Example("The same for a script:", "edgepose data info infants --json"),
    ),
    "data convert": (
        Example(
            "As COCO has it, for other programs:", "edgepose data convert infants --to coco --out as-coco"
        ),
        Example(
            "Frames of a DeepLabCut project for In-Motion's tools:",
            "edgepose data convert deeplabcut:path/to/project --to in-motion --near --out as-in-motion",
        ),
    ),
    "data keypoints": (
        Example("A keypoint file to add keypoints to:", "edgepose data keypoints infants --out mine.toml"),
    ),
    "data show": (Example("Two dozen of its images:", "edgepose data show infants --out infants.png"),),
    "data synth": (
        Example(
            "A hundred infants, three frames of each:",
            "edgepose data synth --out infants --videos 100 --frames 3 --seed 1 --size 320x240",
        ),
        Example(
            "Infants as families photograph them, the longest side of every picture 320 pixels:",
            "edgepose data synth --out infants-home --variety home --videos 400 --frames 5 --size 320",
        ),
    ),
    "device create": (
        Example(
            "A Cortex-A76, in an emulator:",
            "edgepose device create --cpu cortex-a76",
        ),
    ),
    "device doctor": (Example("Before the first device:", "edgepose device doctor"),),
    "device list": (Example("With their runtimes:", "edgepose device list"),),
    "device operators": (
        Example(
            "What to cut next:",
            "edgepose device operators models/int8/rt-int8-ptq-maps.tflite --on cortex-a76 --out runs/operators",
        ),
    ),
    "device remove": (Example("One of them:", "edgepose device remove cortex-a76"),),
    "distill": (
        Example(
            "From one network to a smaller one; both come with weights:",
            "edgepose distill --teacher i --student rt --data infants --out runs/from-i",
        ),
        Example(
            "The whole way in miniature, on built-in data:",
            "edgepose distill --teacher i --student rt-lite --smoke --out runs/smoke",
        ),
    ),
    "evaluate": (
        Example(
            "A network and its file for the phone, on the same images:",
            "edgepose evaluate default:rt-lite models/rt-lite-int8-ptq-maps.tflite "
            "--data infants --out scored",
        ),
        Example(
            "On an emulated phone, for its outputs and its instructions:",
            "edgepose evaluate models/rt-lite-int8-ptq-maps.tflite --data infants --limit 50 "
            "--target emulated:cortex-a76 --out runs/a76",
        ),
    ),
    "export": (
        Example(
            "One file in float16 and one in int8:",
            "edgepose export default:rt-lite --recipe fp16 --recipe int8 --calibrate infants --out tflite",
        ),
    ),
    "import-tflite": (
        Example(
            "A network that someone else exported:",
            "edgepose import-tflite EfficientPoseRT_LITE.tflite --model rt-lite --out models/theirs",
        ),
        Example(
            "BlazePose, behind its own detector, to be compared with:",
            "edgepose import-tflite pose_landmark_full.tflite --output blazepose "
            "--detector pose_detection.tflite --out models/theirs",
        ),
    ),
    "import-weights": (
        Example(
            "The authors' RT, with its 16 keypoints:",
            "edgepose import-weights EfficientPoseRT.h5 --model rt --out models/rt.safetensors",
        ),
    ),
    "models": (
        Example("All of them:", "edgepose models"),
        Example("One of them, for a script:", "edgepose models --model rt-lite --json"),
    ),
    "paper": (
        Example("A table in miniature, on made-up infants:", "edgepose paper table2 --out paper"),
        Example(
            "The same with a network of your own:",
            "edgepose paper table2 --models rt=models/rt.safetensors --data infants --out paper-mine",
        ),
    ),
    "predict": (
        Example(
            "A video, with its skeleton drawn on it:",
            "edgepose predict clip.mp4 --model default:rt-lite --overlay --out predictions",
        ),
        Example(
            "A folder of images, with what the network is unsure of left out:",
            "edgepose predict photos --model default:rt-lite --abstain-below 0.2 --format coco --out coco",
        ),
        Example(
            "[An archive of videos](../archives.md), on all cores, and what failed once more:",
            "edgepose predict videos --model default:rt-lite --out tracks --retry-failed",
        ),
    ),
    "prune": (
        Example(
            "Half of the weights, while it is trained on:",
            "edgepose prune default:rt-lite --data infants --sparsity 0.5 --out runs/pruned",
        ),
    ),
    "quantize": (
        Example(
            "Without training, in minutes:",
            "edgepose quantize default:rt-lite --data infants --out models",
        ),
    ),
    "qat": (
        Example(
            "With training, where `edgepose quantize` is not precise enough:",
            "edgepose qat default:rt-lite --data infants --steps 100 --out runs/int8",
        ),
    ),
    "raters": (
        Example("The made-up raters of made-up infants:", "edgepose raters infants/raters.csv --out raters"),
    ),
    "recipes list": (Example("All of them:", "edgepose recipes list"),),
    "recipes run": (
        Example(
            "Fine-tune RT on data of your own:",
            "edgepose recipes run fine-tune DATA=infants MPII.safetensors=models/rt.safetensors RUN=fine",
        ),
    ),
    "train": (
        Example(
            "From weights that exist already:",
            "edgepose train --model rt --data infants --init models/rt.safetensors --out runs/rt",
        ),
    ),
    "view": (
        Example("What `edgepose predict --out predictions` wrote:", "edgepose view predictions"),
        Example(
            "One video's page as a file, without its pictures, to give away:",
            "edgepose view predictions/clip.json --out clip.html",
        ),
    ),
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = all_pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        with replacing(FOLDER / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def all_pages() -> dict[str, str]:
    """The text of every page by its file's name."""
    tree: Any = typer.main.get_command(edgepose.cli.app)
    return {
        "README.md": _index(tree.commands),
        **{f"{name}.md": _page(name, command) for name, command in tree.commands.items()},
    }


def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """A command, or the commands of a group, by what a user types."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, child in command.commands.items():
        yield from leaves(f"{name} {word}", child)


def _index(commands: Mapping[str, Any]) -> str:
    rows = [f"| [`{_PROGRAM} {name}`]({name}.md) | {_cell(_purpose(c))} |" for name, c in commands.items()]
    head = [
        "# Commands",
        "",
        "Every command has `--help`. Those that a script would call have `--json`.",
        "",
        f"Exit codes: {_exit_codes()}",
        "",
    ]
    return _text([*head, "| command | what it does |", "| --- | --- |", *rows])


def _exit_codes() -> str:
    """As the command line's own docstring has them."""
    said = inspect.getdoc(edgepose.cli) or ""
    return next(line for line in said.splitlines() if line.startswith("Exit codes:")).partition(": ")[2]


def _page(name: str, command: Any) -> str:
    lines = [f"# {_PROGRAM} {name}", ""]
    parts = list(leaves(name, command))
    if hasattr(command, "commands"):
        lines += [_prose(command.help), ""]
    for full, leaf in parts:
        if full != name:
            lines += [f"## {_PROGRAM} {full}", ""]
        lines += _body(full, leaf)
    lines += [f"Exit codes: {_exit_codes()}", "", "[All commands](README.md)"]
    return _text(lines)


def _body(name: str, command: Any) -> list[str]:
    hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    lines = [_prose(command.help), "", f"Usage: `{_usage(name, arguments, options)}`", ""]
    if arguments:
        lines += ["| argument | meaning |", "| --- | --- |"]
        lines += [f"| `{_metavar(p)}` | {_cell(p.help)} |" for p in arguments]
        lines.append("")
    lines += ["| option | value | default | meaning |", "| --- | --- | --- | --- |"]
    lines += [_option(p, hints[p.name]) for p in options]
    lines.append("")
    for example in EXAMPLES[name]:
        lines += [example.says, "", "```", *_wrapped(example.command), "```", ""]
    return lines


def _usage(name: str, arguments: list[Any], options: list[Any]) -> str:
    asked = [f"{p.opts[0]} {p.name.upper()}" for p in options if p.required]
    words = [_PROGRAM, name, *map(_metavar, arguments), *asked]
    return " ".join([*words, "[OPTIONS]"] if len(asked) < len(options) else words)


def _metavar(argument: Any) -> str:
    word = argument.metavar or argument.name.upper()
    return word if argument.nargs == 1 or word.endswith("...") else f"{word}..."


def _option(option: Any, hint: Any) -> str:
    names = ", ".join(f"`{word}`" for word in (*option.opts, *option.secondary_opts))
    cells = (names, _value(option, hint), _default(option), _cell(option.help or ""))
    return f"| {' | '.join(cells)} |"


def _value(option: Any, hint: Any) -> str:
    """The kind of its value, and its limits; nothing for a flag."""
    kind, *extras = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
    repeated = False
    while get_origin(kind) is not None:
        repeated = repeated or get_origin(kind) is list
        kind = next(part for part in get_args(kind) if part is not type(None))
    if kind is bool:
        return ""
    low, high = (next((getattr(e, side) for e in extras), None) for side in ("min", "max"))
    limits = f", {low:g} to {high:g}" if high is not None else f", {low:g} or more" if low is not None else ""
    return f"{_KINDS[kind]}{limits}{', may be repeated' if repeated else ''}"


def _default(option: Any) -> str:
    value = option.default
    if option.required:
        return "required"
    if option.is_flag:
        return (
            f"`{option.opts[0]}`"
            if value
            else f"`{option.secondary_opts[0]}`"
            if option.secondary_opts
            else ""
        )
    if value is None or value == "":
        return ""
    words = value if isinstance(value, list | tuple) else [value]
    return ", ".join(f"`{word.as_posix() if isinstance(word, Path) else word}`" for word in words)


def _wrapped(command: str) -> list[str]:
    """Lines that a page is wide enough for; broken before an option."""
    lines = [""]
    for part in command.replace(" --", "\0--").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > 95:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {part}" if lines[-1] else part
    return lines


def _purpose(command: Any) -> str:
    return _prose(command.help).partition("\n\n")[0]


def _prose(text: str) -> str:
    return inspect.cleandoc(text).replace("*", "\\*").replace("<", "\\<")


def _cell(text: str) -> str:
    return " ".join(_prose(text).split()).replace("|", "\\|")


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
