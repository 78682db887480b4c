"""The field's words, never private ones: none of those that this project once had for itself comes back."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("android_harness", "benchmarks", "docs", "edgeio", "edgepose", "export", "tests")
TEXT = {".md", ".j2", ".sh", ".toml", ".json"}


@dataclass(frozen=True)
class Word:
    """A word that means something else to everybody outside.

    Attributes:
        say: what to say in its place.
        name: pattern of Python names, matched whole; empty where names cannot have it.
        part: pattern of a name's parts (`old_part_of`, `OldPartOf`), matched whole.
        prose: pattern in comments, docstrings, messages, help and pages, where case does not matter.
    """

    say: str
    name: str = ""
    part: str = ""
    prose: str = ""


WORDS = (
    Word("training data", part="materials?", prose=r"(?<!reference )\bmaterial\b"),
    Word("setup, open_setup", part="assembl(y|ed)", prose=r"\bassembl(y|ed)\b"),
    Word("what is trained, or the stepper's setup", part="trainees?", prose=r"\btrainees?\b"),
    Word("setup", name="Plan"),
    Word("teacher context", part="lessons?", prose=r"\blessons?\b"),
    Word("teacher check", name="standing", prose=r"\b(teacher's|its) standing\b"),
    Word(
        "teacher query, teacher outputs, teacher targets",
        name="asking|answers|Asking|Answers",
        prose=r"\bteacher's (word|answers?)\b",
    ),
    Word("weight constraint", name="Hold|holds", part="shaping"),
    Word("fake-quantized model", part="twins?", prose=r"\btwins?\b"),
    Word(
        "fake-quantized",
        name="build_rounded|rounded_(input|kernel|output)|is_rounded|unrounded",
        prose=r"\brounded (network|model|kernel|twin)",
    ),
    Word("self-distillation loss", part="likeness", prose=r"\blikeness\b"),
    Word("cross-layer equalization", part="evened", prose=r"\beven(ed|ing)\b|\beven out\b"),
    Word(
        "float operators, mixed precision", name="Kept", part="islands?", prose=r"\bislands?\b|float_islands"
    ),
    Word("quantization barriers", prose=r"\bput marks\b|\bwith marks where\b"),
    Word("compact", part="slim", prose=r"\bslim(mer|med)?\b"),
    Word("BN-folded model, equivalent run", name="Folded"),
    Word("competing model", part="entrants?", prose=r"\bentrants?\b"),
    Word("run result", name="_?[rR]an"),
    # One stand-in is the field's own: the ruler that stands in for the head's length.
    Word("substitute", name="stand_ins|StandIns", prose=r"\bstand_ins\b"),
    Word("frame pose", name="Seen"),
    Word("quality warning", name="Warned"),
    Word("limb too long", part="torn", prose=r"\btorn\b"),
    Word("readable name", part="spoken", prose=r"\bspoken\b"),
    Word("verdict's colour, lighting", name="Light|LIGHTS"),
    Word("video, clip, sensor", name="_?[fF]ilms?|FILM", prose=r"\b(a|the|such|each|every|one) films?\b"),
    Word("hint", part="mend(s|ed|ing)?", prose=r"\bmend(s|ed|ing)?\b"),
)
ANY_PROSE = re.compile("|".join(word.prose for word in WORDS if word.prose), re.IGNORECASE)


def files(*suffixes: str) -> Iterator[Path]:
    yield from (path for path in ROOT.glob("*") if path.suffix in suffixes)
    for folder in CODE:
        yield from (path for path in (ROOT / folder).rglob("*") if path.suffix in suffixes)


def names_and_prose(path: Path) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Python names, and the lines of comments and texts, each with the number of its line."""
    if path.suffix != ".py":
        return [], list(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    names, prose = [], []
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.NAME:
            names.append((token.start[0], token.string))
        elif token.type != tokenize.OP and token.string.strip():
            prose += list(enumerate(token.string.splitlines(), token.start[0]))
    return names, prose


def found(path: Path) -> list[str]:
    """What is wrong in a file, a line each."""
    names, prose = names_and_prose(path)
    place = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    wrong = [f"{place}:{line}: {each} (say {say})" for line, each in names if (say := instead_of(each))]
    for line, each in prose:
        if ANY_PROSE.search(each):
            (hit, word), *_ = ((h, w) for w in WORDS if w.prose and (h := re.search(w.prose, each, re.I)))
            wrong.append(f"{place}:{line}: {hit[0]} (say {word.say})")
    return wrong


@cache
def instead_of(name: str) -> str:
    """What to say for a Python name; empty where there is nothing against it."""
    own = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")
    for word in WORDS:
        if re.fullmatch(word.name, name) or any(re.fullmatch(word.part, part) for part in own if part):
            return word.say
    return ""


def test_no_private_word_comes_back() -> None:
    wrong = [
        line
        for path in files(".py", *TEXT)
        if path != Path(__file__) and "reports" not in path.parts
        for line in found(path)
    ]
    assert not wrong, "\n".join(wrong)


def test_records_have_no_private_keys() -> None:
    old = re.compile(r'"(float_islands|folded|light|torn-pose)" ?:')
    records = [*ROOT.glob("reports/**/*.json"), *files(".json")]
    assert records
    wrong = [str(path) for path in records if old.search(path.read_text(encoding="utf-8"))]
    assert not wrong


@pytest.mark.parametrize(
    ("text", "say"),
    [
        ("material = 1\n", "training data"),
        ("class TheTwin: ...\n", "fake-quantized"),
        ("build_rounded(1)\n", "fake-quantized"),
        ("# Channels are evened out first.\n", "cross-layer"),
        ('say("see the teacher\'s word")\n', "teacher"),
        ('say(f"an island of float")\n', "mixed precision"),
        ('"""A net.\n\nThe rounded network learns.\n"""\n', "fake-quantized"),
    ],
)
def test_a_private_word_is_found(text: str, say: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(text, encoding="utf-8")
    (line,) = found(path)
    assert say in line


def test_plain_english_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('"""Film one infant; the phone answers, in light, and what ran holds."""\nfolded = 1\n')
    assert not found(path)
