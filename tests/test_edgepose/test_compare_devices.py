"""Results of one model in several places: told apart, said once, and what they cost beside each other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from android_harness.cost import Instructions, LatencyEstimate
from edgepose.comparison import compare as comparing
from edgepose.comparison.compare import Comparison, compare, read_entries
from edgepose.errors import BadResults
from edgepose.reporting.document import Paragraph, Picture, Table, render_markdown
from edgepose.reporting.report import write_report
from edgepose.reporting.sections import build_document
from edgepose.reporting.sections_devices import on_devices
from edgepose.results.device_facts import DeviceFacts, Parity
from edgepose.results.results import read_results

Scored = Callable[..., Path]
SCHEMA = json.loads(Path(comparing.__file__).with_name("compare.schema.json").read_text(encoding="utf-8"))
PIXEL = LatencyEstimate("Pixel", "Kryo, 2.15 GHz", 43.21, 8.4, "four MobileNets")
TAUGHT = LatencyEstimate(
    "Pixel", "Kryo, 2.15 GHz", 20.0, None, "four MobileNets; not judged on integer models"
)
TOO_FAR = LatencyEstimate("Redmi", "Cortex-A53, 1.8 GHz", None, 28.5, "four MobileNets", "Paddle-Lite 2.11")


def device(cpu: str, millions: float | None, **changes: Any) -> DeviceFacts:
    facts: dict[str, Any] = {
        "name": cpu.lower(),
        "kind": "emulated",
        "processor": cpu,
        "system": "qemu 7.2.0",
        "sysroot_sha256": "d" * 64,
        "protocol": 1,
        "threads": 1,
        "delegate": "xnnpack",
        "model_memory_bytes": 2_500_000,
        "instructions": Instructions(round(millions * 1e6), {"vector": 1}, 0.0, 3) if millions else None,
        "not_counted": None if millions else "no C compiler",
        "estimates": (),
        "parity": Parity("ai-edge-litert 2.3.0", 8, 7, 0.5, 0.0312, 0.01, 0.0),
    }
    return DeviceFacts(**{**facts, **changes})


@pytest.fixture
def place(scored: Scored) -> Callable[..., Path]:
    """place(MODEL, DEVICE or None, noise) is a model's run somewhere; a model's file is known by its name."""

    def build(file: str, where: DeviceFacts | None = None, noise: float = 0.1, **changes: Any) -> Path:
        facts = {"sha256": file.encode().hex().ljust(64, "0"), "path_name": f"{file}.tflite"}
        changes["model"] = {**facts, **changes.get("model", {})}
        if where is None:
            return scored(file, noise, **changes)
        there = {"device": where, "target": f"{where.kind}:{where.name}", "speed": None}
        return scored(f"{file}@{where.name}", noise, **{**there, **changes})

    return build


A53, A72 = device("Cortex-A53", 300), device("Cortex-A72", 250, estimates=(PIXEL,))
FEW = device("Cortex-A53", 50)


def compared(paths: list[Path], baseline: str | None = None) -> Comparison:
    return compare(read_entries(paths), "T", "0", "none", baseline)


def table(comparison: Comparison) -> dict[tuple[str, str], dict[str, str]]:
    """The rows of the table on devices, by model and target."""
    found = next(b for b in on_devices(comparison) if isinstance(b, Table))
    rows = (dict(zip(found.columns, row, strict=True)) for row in found.rows)
    return {(row["Model"], row["Target"]): row for row in rows}


def test_a_rows_name_tells_model_and_place(place: Callable[..., Path]) -> None:
    here, there = (read_results(p) for p in (place("rt@home"), place("rt@home", A53)))
    assert (here.model_name, here.place) == ("rt@home", "desktop")
    assert (there.name, there.model_name, there.place) == ("rt@home@cortex-a53", "rt@home", "cortex-a53")


def test_names_of_earlier_versions_still_say_where(place: Callable[..., Path]) -> None:
    old = dataclasses.replace(read_results(place("rt", A53)), name="rt-cortex-a53")
    assert (old.model_name, old.place) == ("rt-cortex-a53", "cortex-a53")


def test_one_model_in_several_places_is_one_row_of_accuracy(place: Callable[..., Path]) -> None:
    nearly, apart = 0.1 + 1e-6, 0.15
    paths = [place("rt", A53, nearly), place("rt"), place("rt", A72, apart), place("other", A53)]
    found = compared(paths)
    assert [r.name for r in found.results] == ["rt", "rt@cortex-a72", "other@cortex-a53"]
    assert [(f.results.name, f.row) for f in found.equivalent_runs] == [("rt@cortex-a53", "rt")]
    assert [r.name for r in found.everywhere] == ["rt", "rt@cortex-a53", "rt@cortex-a72", "other@cortex-a53"]
    assert [d.name for d in found.differences] == ["rt@cortex-a72", "other@cortex-a53"]
    assert set(found.worst) == {"rt", "rt@cortex-a72", "other@cortex-a53"}


def test_devices_that_agree_with_each_other_only_are_one_row(place: Callable[..., Path]) -> None:
    found = compared([place("rt"), place("rt", A53, 0.15), place("rt", A72, 0.15)])
    assert [(f.results.name, f.row) for f in found.equivalent_runs] == [("rt@cortex-a72", "rt@cortex-a53")]


def test_other_files_other_decoders_and_the_same_place_are_rows_of_their_own(
    place: Callable[..., Path],
) -> None:
    copies = [place(name, model={"sha256": "0" * 64}) for name in ("copy", "equal")]
    found = compared([place("rt"), *copies, place("rt", A53, decode="argmax")])
    assert len(found.results) == 4 and not found.equivalent_runs


def test_a_baseline_that_is_asked_for_stays_a_row(place: Callable[..., Path]) -> None:
    found = compared([place("rt"), place("rt", A53), place("rt", A72)], "rt@cortex-a72")
    assert found.baseline == "rt@cortex-a72"
    assert [r.name for r in found.results] == ["rt@cortex-a72"]
    assert {f.results.name for f in found.equivalent_runs} == {"rt", "rt@cortex-a53"}
    with pytest.raises(BadResults, match="no results are called rt@cortex-a75"):
        compared([place("rt"), place("rt", A53)], "rt@cortex-a75")


def test_the_table_on_devices_shows_what_each_run_recorded(place: Callable[..., Path]) -> None:
    uncounted = device("Cortex-A76", None, model_memory_bytes=None)
    paths = [place("rt"), place("rt", A53), place("rt", A72, 0.2), place("rt", uncounted)]
    comparison = compared(paths)
    rows = table(comparison)
    assert list(rows) == [("rt", p) for p in ("desktop", "cortex-a53", "cortex-a72", "cortex-a76")]
    here, a53, a72, a76 = rows.values()
    scores = read_results(paths[2]).metrics.overall.scores
    assert a72["PCKh@0.2, %"] == f"{scores['pckh@0.2']:.1f}" != here["PCKh@0.2, %"]
    assert a72["ME, head lengths"] == f"{scores['me']:.4f}"
    assert (here["File, MB"], a53["Instructions, 10⁶"], here["Instructions, 10⁶"]) == ("1.823", "300.0", "–")
    assert (a72["Estimate, ms"], a53["Estimate, ms"]) == ("43.2 (Pixel, ± 8 %)", "–")
    assert (here["Model memory, MB"], here["Peak memory, MB"]) == ("–", "21.000")
    assert (a53["Model memory, MB"], a53["Peak memory, MB"]) == ("2.500", "–")
    assert (here["Same to the bit, images"], a53["Same to the bit, images"]) == ("–", "7 of 8")
    assert (here["Largest difference, px"], a53["Largest difference, px"]) == ("–", "0.031")
    assert a76["Instructions, 10⁶"] == a76["Model memory, MB"] == "–"
    said = " ".join(b.text for b in on_devices(comparison) if isinstance(b, Paragraph))
    assert "rt@cortex-a76: no C compiler" in said
    assert "2 runs put every keypoint within 0.01 px" in said
    assert said.count("four MobileNets") == 1


def test_an_error_that_nobody_knows_is_no_number(place: Callable[..., Path]) -> None:
    rows = table(compared([place("rt", device("Cortex-A72", 100, estimates=(TAUGHT,)))]))
    assert rows["rt", "cortex-a72"]["Estimate, ms"] == "20.0 (Pixel, error not known)"


def test_no_estimate_where_the_error_is_large_and_the_runtime_is_named(place: Callable[..., Path]) -> None:
    rows = table(compared([place("rt", device("Cortex-A53", 100, estimates=(TOO_FAR,)))]))
    assert rows["rt", "cortex-a53"]["Estimate, ms"] == "– (Redmi with Paddle-Lite 2.11, ± 28 %)"


def test_no_section_where_all_ran_on_this_machine(place: Callable[..., Path]) -> None:
    comparison = compared([place("a"), place("b", None, 0.2)])
    assert on_devices(comparison) == ()
    assert "On devices" not in [s.heading for s in build_document(comparison, []).sections]


def test_the_report_draws_the_devices_and_obeys_the_schema(
    place: Callable[..., Path], tmp_path: Path
) -> None:
    paths = [place("rt"), place("rt", A53), place("lite", None, 0.2), place("lite", FEW, 0.2)]
    entries = read_entries(paths)
    out = tmp_path / "out"
    write_report(compare(entries, "T", "0", "skeleton"), entries, out)
    assert (out / "figures/accuracy-device.png").is_file()
    numbers = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    jsonschema.validate(numbers, SCHEMA)
    assert [(f["row"], f["results"]["name"]) for f in numbers["equivalent_runs"]] == [
        ("rt", "rt@cortex-a53"),
        ("lite", "lite@cortex-a53"),
    ]
    markdown = (out / "report.md").read_text(encoding="utf-8")
    assert "Instructions: of one inference on Cortex-A53, ai-edge-litert 2.3.0." in markdown
    worst = {p.name for p in (out / "figures").glob("worst-*")}
    assert worst == {"worst-01-rt.png", "worst-02-lite.png"}


def test_a_devices_run_can_be_made_again(place: Callable[..., Path]) -> None:
    unasked = device("Cortex-A76", None, not_counted="--no-speed", threads=2)
    phone = device("Pixel", None, kind="android", delegate="gpu", not_counted="a phone counts none")
    paths = [place("rt", A53), place("rt", unasked), place("rt", phone)]
    markdown = render_markdown(build_document(compared(paths), list[Picture]()))
    lines = [line for line in markdown.splitlines() if line.startswith("edgepose ")]
    assert "--target emulated:cortex-a53 --seed 0 --threads 1 --out RESULTS" in lines[0]
    assert "--target emulated:cortex-a76 --seed 0 --threads 2 --no-speed --out RESULTS" in lines[1]
    assert "--target android:pixel --seed 0 --threads 1 --delegate gpu --out RESULTS" in lines[2]
    assert "RESULTS/rt@cortex-a53 RESULTS/rt@cortex-a76 RESULTS/rt@pixel" in lines[3]
