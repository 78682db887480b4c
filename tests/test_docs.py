"""What the documentation says is so: its commands run, its paths exist, its pages are the command line's."""

from __future__ import annotations

import contextlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from documented import COMMANDS, Run, command_pages, fenced, prepare
from typer.testing import CliRunner

import edgepose.cli
import export.recipe
from android_harness.profiles import PROFILES
from edgepose.data.registry import FORMATS
from edgepose.keypoints import KEYPOINT_SETS
from edgepose.models.variants import VARIANTS
from edgepose.training import recipes as run_cards


def where(found: fenced.Command | fenced.Block) -> str:
    return f"{found.page}:{found.line}"


# The README shows in short what the guide does step by step: a command that comes twice is the guide's.
_PAGES = sorted(fenced.pages(), key=lambda page: page == "README.md")
DOCUMENTED = {c.text: c for page in _PAGES for c in fenced.commands(page)}
# Paths and links in a page's text.
SPANS = re.compile(r"`([\w./-]+)`")
LINKS = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
TOPS = ("android_harness", "benchmarks", "docs", "edgeio", "edgepose", "export", "reports", "tests")
# Examples in Python, and the tables that they add a row to.
TABLES = (VARIANTS, KEYPOINT_SETS, FORMATS, export.recipe.RECIPES, run_cards.TRAINING_RECIPES, PROFILES)
BUILDS = "build_model"
EXAMPLES = [
    pytest.param(block, id=where(block), marks=[pytest.mark.long] * (BUILDS in block.text))
    for page in fenced.pages()
    for block in fenced.blocks(page)
    if block.language == "python"
]


@pytest.mark.parametrize("command", DOCUMENTED.values(), ids=where)
def test_a_documented_command_is_one_that_exists(command: fenced.Command) -> None:
    """The command line takes its words; nothing is run."""
    idle_command_line()([*command.words[1:]], standalone_mode=False)


@cache
def idle_command_line() -> Any:
    """The command line, its commands doing nothing."""
    tree = typer.main.get_command(edgepose.cli.app)
    for name, child in tree.commands.items():
        for _, leaf in command_pages.leaves(name, child):
            leaf.callback = lambda **values: None
    return tree


def test_every_documented_command_is_run_or_says_why_not() -> None:
    assert set(DOCUMENTED) - set(COMMANDS) == set(), "give each an entry in tests/helpers/documented.py"
    assert set(COMMANDS) - set(DOCUMENTED) == set(), "these are not documented any more"


@pytest.mark.long
def test_documented_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order in which a newcomer reads them, in one folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    prepare(tmp_path)
    with contextlib.chdir(tmp_path):
        for command in DOCUMENTED.values():
            entry = COMMANDS[command.text]
            if isinstance(entry, Run):
                run(command, entry)


def run(command: fenced.Command, entry: Run) -> None:
    swapped = [entry.swap.get(word, word) for word in command.words[1:]]
    assert set(entry.swap) <= set(command.words), f"{where(command)}: its replacements are for nothing"
    words = [found for word in swapped for found in (expanded(word) or [word])]
    done = CliRunner().invoke(edgepose.cli.app, [*words, *entry.add.split()])
    assert done.exit_code == 0, f"{where(command)}: {command.text}: {done.exception!r}\n{done.output}"


def expanded(word: str) -> list[str]:
    """The files that a shell would put in place of a wildcard."""
    return sorted(map(str, Path().glob(word))) if "*" in word else []


def test_command_pages_are_what_the_command_line_says() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in command_pages.FOLDER.glob("*.md")}
    wanted = command_pages.all_pages()
    stale = sorted(name for name in committed.keys() | wanted if committed.get(name) != wanted.get(name))
    assert not stale, f"docs/commands: {', '.join(stale)}: run `make docs`"


def test_command_pages_hold_nothing_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = command_pages.all_pages()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("HOME", "/elsewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere/cache")
    assert command_pages.all_pages() == before
    assert not [name for name, text in before.items() if str(fenced.ROOT) in text]


def test_every_option_says_what_it_means() -> None:
    rows = [line for text in command_pages.all_pages().values() for line in text.splitlines()]
    assert not [row for row in rows if row.startswith("|") and row.endswith("|  |")]


def test_every_command_has_an_example_of_itself() -> None:
    tree = typer.main.get_command(edgepose.cli.app)
    names = [full for name, child in tree.commands.items() for full, _ in command_pages.leaves(name, child)]
    assert sorted(command_pages.EXAMPLES) == sorted(names)
    for name, examples in command_pages.EXAMPLES.items():
        start = f"edgepose {name.removesuffix(' make')} "
        assert examples and all(f"{example.command} ".startswith(start) for example in examples), name


@pytest.mark.parametrize("page", fenced.pages())
def test_paths_in_the_text_exist(page: str) -> None:
    text = without_blocks(page)
    named = [span for span in SPANS.findall(text) if "/" in span and span.split("/")[0] in TOPS]
    assert not [span for span in named if not (fenced.ROOT / span).exists()]


@pytest.mark.parametrize("page", fenced.pages())
def test_links_lead_somewhere(page: str) -> None:
    for target, anchor in LINKS.findall(without_blocks(page)):
        if ":" in target:
            continue
        path = (fenced.ROOT / page).parent / target if target else fenced.ROOT / page
        assert path.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in headings(path), f"{page}: {target}#{anchor}"


def without_blocks(page: str) -> str:
    return re.sub(r"^```.*?^```$", "", (fenced.ROOT / page).read_text(encoding="utf-8"), flags=re.S | re.M)


def headings(path: Path) -> set[str]:
    """The anchors that a page's headings make."""
    found = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in found}


def test_the_pages_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (fenced.ROOT / "docs/pictures").iterdir()}
    assert sizes and max(sizes.values()) < 150_000 and sum(sizes.values()) < 700_000, sizes
    assert {f"pictures/{name}" for name in sizes} == {
        target
        for page in ("docs/tutorial.md", "docs/view.md")
        for target, _ in LINKS.findall(without_blocks(page))
        if "pictures/" in target
    }


@pytest.mark.parametrize("block", EXAMPLES)
def test_examples_in_python_run(block: fenced.Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by itself; rows that it adds to a table are gone afterwards."""
    monkeypatch.chdir(tmp_path)
    kept = [dict(table) for table in TABLES]
    try:
        exec(compile(block.text, where(block), "exec"), {"__name__": "example"})
        added = [table.keys() - before.keys() for table, before in zip(TABLES, kept, strict=True)]
        assert sum(map(len, added)) == 1, "an example adds a row to a table"
    finally:
        for table, before in zip(TABLES, kept, strict=True):
            table.clear()
            table.update(before)
