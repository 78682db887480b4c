"""What ran, laid beside the graph; the figure draws what adds up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from tiny_tflite import tiny_tflite
from typer.testing import CliRunner

from android_harness import emulator
from android_harness.counting import NotCounted
from android_harness.operators import OperatorRun
from edgeio.records import read_record
from edgepose.cli import app
from edgepose.errors import BadModel
from edgepose.evaluation import operator_cost
from edgepose.evaluation.operator_cost import OperatorCosts, matched, part
from edgepose.models.variants import VARIANTS
from edgepose.reporting.operator_figure import by_kind, by_part, draw_operators, write_operators
from export.inspect import GraphOperator, graph_operators

ROOT = Path(__file__).parents[2]
GRAPH = (
    GraphOperator("CONV_2D", "stem_conv_res1_1/Relu6", (1, 8, 8, 4), 1),
    GraphOperator("RESHAPE", "flat", (1, 256), 1),
    GraphOperator("CONCATENATION", "pass2_input_1/concat", (1, 8, 8, 8), 2),
    GraphOperator("LOGISTIC", "pass2_gate", (1, 8, 8, 8), 1),
    GraphOperator("MUL", "pass2_swish", (1, 8, 8, 8), 2),
    GraphOperator("CONV_2D", "Identity", (1, 8, 8, 8), 1),
)
KERNELS = (
    ("xnn_qs8_qc8w_igemm_ukernel", 900),
    ("xnn_xx_copy_ukernel__scalar_memcpy", 10),
    ("libc.so.6", 5),
    ("xnn_x8_lut_ukernel", 60),
    ("xnn_qs8_qc8w_gemm_ukernel", 20),
)
RUNS = tuple(OperatorRun(count, kernel, {kernel: count}) for kernel, count in KERNELS)


def costs(around: int = 5) -> OperatorCosts:
    ops = matched(GRAPH, RUNS, "m.tflite")
    total = sum(op.instructions for op in ops) + around
    return OperatorCosts("m", "0" * 64, "Cortex-A76", "litert 1", total, around, ops)


def test_a_concatenation_is_several_runs_and_what_is_joined_or_a_view_none() -> None:
    found = matched(GRAPH, RUNS, "m.tflite")
    assert [(op.kind, op.instructions) for op in found] == [
        ("CONV_2D", 900),
        ("CONCATENATION", 15),
        ("LOGISTIC", 60),
        ("CONV_2D", 20),
    ]
    assert found[1].kernels == ("xnn_xx_copy_ukernel__scalar_memcpy", "libc.so.6")
    assert sum(op.instructions for op in found) == sum(run.instructions for run in RUNS)


@pytest.mark.parametrize(
    ("graph", "runs", "said"),
    [
        (GRAPH, RUNS[1:], "CONV_2D of 'stem_conv_res1_1/Relu6' ran as xnn_xx_copy"),
        (GRAPH, RUNS[:-1], "CONV_2D of 'Identity' ran as nothing"),
        (GRAPH[:-1], RUNS, "1 operators ran that its graph does not have"),
        ((GraphOperator("WHILE", "loop", (), 1),), RUNS, "has WHILE, whose kernels are not known"),
    ],
)
def test_what_does_not_belong_together_is_refused(graph, runs, said: str) -> None:
    with pytest.raises(BadModel, match=said):
        matched(graph, runs, "m.tflite")


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        ("block2a_project_bn_res1_1/batchnorm/add_1", "block2"),
        ("block2a_project_bn_res2_1/batchnorm/add_1", "block2 (res2)"),
        ("pass3_block1_mbconv1_detection2_conv1_1/Relu6", "pass3"),
        ("Identity", "output"),
        ("StatefulPartitionedCall:0", "output"),
        ("model/thing", "model"),
    ],
)
def test_a_tensors_name_tells_its_part(tensor: str, name: str) -> None:
    assert part(tensor) == name


def test_the_graphs_operators_leave_out_what_makes_constants() -> None:
    assert [op.kind for op in graph_operators(tiny_tflite(keypoints=3))] == ["CONV_2D"]
    # float16 weights are unpacked by an operator each, once for all
    assert "DEQUANTIZE" not in {op.kind for op in graph_operators(ROOT / "edgepose/weights/rt-lite.tflite")}


def test_kinds_and_parts_add_up_to_the_whole() -> None:
    found = costs()
    assert by_kind(found) == {"CONV_2D": 920, "LOGISTIC": 60, "CONCATENATION": 15}
    assert list(by_kind(found)) == ["CONV_2D", "LOGISTIC", "CONCATENATION"]
    assert by_part(found) == {"stem": 900, "pass2": 75, "output": 20}
    for sums in (by_kind(found), by_part(found)):
        assert sum(sums.values()) + found.around == found.instructions


def test_every_row_of_the_figure_is_as_wide_as_the_whole() -> None:
    (axes,) = draw_operators(costs()).axes
    widths: dict[float, float] = {}
    for box in axes.patches:
        widths[box.get_y()] = widths.get(box.get_y(), 0) + box.get_width()
    assert len(widths) == 4 and list(widths.values()) == pytest.approx([0.001] * 4)
    assert axes.get_xlim() == pytest.approx((0, 0.001))


def test_the_record_is_read_back_and_the_figure_is_a_picture(tmp_path: Path) -> None:
    record, picture = write_operators(costs(), tmp_path / "out")
    assert (record.name, picture.name) == ("m@cortex-a76.json", "m@cortex-a76.png")
    assert read_record(OperatorCosts, record, "") == costs()
    with Image.open(picture) as opened:
        assert opened.width == 1500


def test_the_command_says_the_parts_and_refuses_what_is_not_counted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(emulator, "open_device", lambda name: name)
    monkeypatch.setattr(operator_cost, "measure_operators", lambda *given: costs())
    command = ["device", "operators", "m.tflite", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0 and "92.0 %  CONV_2D" in done.stdout and "0.5 %  around them" in done.stdout
    assert "CONV_2D stem_conv_res1_1/Relu6" in done.stdout
    told = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert told["instructions"] == 1000 and len(told["operators"]) == 4

    def not_counted(*given: object) -> OperatorCosts:
        raise NotCounted("no C compiler is installed")

    monkeypatch.setattr(operator_cost, "measure_operators", not_counted)
    done = CliRunner().invoke(app, command)
    assert done.exit_code != 0 and "no C compiler is installed" in str(done.exception)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "reports/on-device/operators").glob("*.json")), ids=lambda p: p.stem
)
def test_what_was_measured_adds_up_and_the_operators_are_nearly_all(path: Path) -> None:
    found = read_record(OperatorCosts, path, "")
    assert sum(op.instructions for op in found.operators) + found.around == found.instructions
    assert found.around < 0.01 * found.instructions
    assert {op.part for op in found.operators} >= {"stem", "pass1", "pass2"}
    assert any(found.model.startswith(key) for key in VARIANTS)
