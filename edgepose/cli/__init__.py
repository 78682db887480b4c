"""The command line: one thin file per command, and one place where errors become exit codes.

Exit codes: 0 done, 1 bad input or a failure outside the program, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer

import edgepose
from edgeio import UserError
from edgepose.cli import (
    bundle,
    calibrate_confidence,
    cluster,
    compare,
    data,
    device,
    distill,
    evaluate,
    import_weights,
    models,
    paper,
    predict,
    prune,
    qat,
    quantize,
    raters,
    recipes,
    synth,
    train,
    view,
)
from edgepose.cli import export as export_command
from edgepose.cli.progress import announced

app = typer.Typer(
    name="edgepose",
    help="Infant pose estimation, compressed for the phone and measured like a clinical instrument.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("models")(models.command)
app.command("import-weights")(import_weights.command)
app.command("train")(train.command)
app.command("distill")(distill.command)
app.command("export")(export_command.command)
app.command("quantize")(quantize.command)
app.command("qat")(qat.command)
app.command("prune")(prune.command)
app.command("cluster")(cluster.command)
app.command("import-tflite")(export_command.import_tflite)
app.command("evaluate")(evaluate.command)
app.command("predict")(predict.command)
app.command("view")(view.command)
app.command("calibrate-confidence")(calibrate_confidence.command)
app.command("compare")(compare.command)
app.command("raters")(raters.command)
app.command("paper")(paper.command)
app.add_typer(bundle.app, name="bundle")
app.add_typer(device.app, name="device")
app.add_typer(recipes.app, name="recipes")
data.app.command("synth")(synth.command)
app.add_typer(data.app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(edgepose.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print it and exit."
    ),
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line; never shows a traceback for bad input."""
    for stream in (sys.stdout, sys.stderr):  # names that the terminal cannot show are spelt as escapes
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except UserError as error:
        _fail(str(error), error.exit_code)
    except MemoryError:
        _fail("memory ran out; use a smaller --batch, fewer --workers or a smaller network", 1)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None
        _fail(_explain(error), 1)
    raise SystemExit(0)


def entry() -> NoReturn:
    """`main` of a process: it stops when it is asked to, and says what it does where that takes a while."""
    stop_when_asked()
    try:
        with announced(sys.argv[1:], _purpose):
            main()
    except KeyboardInterrupt:  # around the command, which typer itself ends so
        raise SystemExit(130) from None
    except Exception as error:
        # Python 3.11 hands on what came while a class is made, as in an import, as a RuntimeError.
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise SystemExit(130) from None
        raise


def stop_when_asked() -> None:
    """SIGINT and SIGTERM end a command from its start by KeyboardInterrupt, so that it leaves things whole.

    What a script's shell starts in the background has SIGINT ignored, and Python leaves that so.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _purpose(words: Sequence[str]) -> str:
    """The first sentence of the help of the command that the words begin with."""
    found: Any = typer.main.get_command(app)
    names = ["edgepose"]
    for word in words:
        if word not in getattr(found, "commands", {}):
            break
        found = found.commands[word]
        names.append(word)
    if len(names) == 1 or not found.help:
        return ""
    sentence = " ".join(found.help.split("\n\n")[0].split()).split(". ")[0]
    return f"{' '.join(names)}: {sentence.rstrip('.')}"


def _explain(error: OSError) -> str:
    where = error.filename or "the output"
    hints = {
        errno.ENOSPC: "free some space, then run the same command again",
        errno.EDQUOT: "free some of your quota, then run the same command again",
        errno.EACCES: "choose a place that you may write to",
        errno.EROFS: "choose a place that you may write to",
        errno.ENOENT: "check the path",
        errno.EISDIR: "give a file, not a folder",
        errno.ENOTDIR: "a part of this path is a file: choose another place",
        errno.ENAMETOOLONG: "choose a shorter name",
    }
    hint = hints.get(error.errno or 0, "check the path and the disk")
    return f"{where}: {(error.strerror or str(error)).lower()}; {hint}"


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise SystemExit(code)
