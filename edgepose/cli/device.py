"""`edgepose device`: emulated arm64 phones to score models on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepose.cli.options import AsJson, print_json

app = typer.Typer(help="Emulated arm64 phones: make, list and remove them.", no_args_is_help=True)
_LARGEST = 5  # operators that are named


@app.command("create")
def create(
    cpu: Annotated[
        str, typer.Option(help="The processor: cortex-a53, -a55, -a72, -a73, -a75, -a76 or cortex-x1.")
    ] = "cortex-a76",
    runtime: Annotated[
        str, typer.Option(help="The runtime: litert, or tflite-runtime, the 2.14 that older apps carry.")
    ] = "litert",
    mirror: Annotated[
        str | None,
        typer.Option(help="The source of arm64 packages, where the system has none: 'deb URL SUITE main'."),
    ] = None,
) -> None:
    """Make an emulated device: about 100 MB in the user's cache, a minute, no root.

    Devices of one runtime share their files. One that is there and whole stays as it is.
    """
    from android_harness.emulator import create_device

    device = create_device(cpu, runtime, lambda what: typer.echo(f"{what} ...", err=True), mirror)
    typer.echo(f"{device.name} is ready: edgepose evaluate MODEL.tflite --data DATA --target {device.target}")


@app.command("operators")
def operators(
    model: Annotated[Path, typer.Argument(help="A .tflite file whose whole graph XNNPACK runs.")],
    on: Annotated[str, typer.Option(help="The device, as `edgepose device list` names it.")] = "cortex-a76",
    out: Annotated[
        Path, typer.Option(help="The folder that MODEL@CORE.json and .png are written to.")
    ] = Path("operators"),
    as_json: AsJson = False,
) -> None:
    """Count one inference on an emulated device operator by operator: what to cut next.

    The operators' instructions and what lies around them add up to the whole. The figure is a flame graph: the whole,
    the network's parts, kinds of operators and single operators, each as wide as its instructions.
    """
    import tempfile

    from android_harness.counting import NotCounted
    from android_harness.emulator import open_device
    from edgepose.errors import UsageError
    from edgepose.evaluation.operator_cost import measure_operators
    from edgepose.reporting.operator_figure import by_kind, share, write_operators

    with tempfile.TemporaryDirectory() as folder:
        try:
            costs = measure_operators(open_device(on), model, Path(folder) / "job")
        except NotCounted as error:
            raise UsageError(
                f"{model} is not split on {on}: {error}", "see: edgepose device doctor"
            ) from None
    record, picture = write_operators(costs, out)
    if as_json:
        print_json(costs)
        return
    typer.echo(f"{costs.instructions / 1e6:8.1f} M instructions, {len(costs.operators)} operators")
    for kind, count in (*by_kind(costs).items(), ("around them", costs.around)):
        typer.echo(f"{count / 1e6:8.1f} M {share(count, costs):>7}  {kind}")
    typer.echo("the largest:")
    for op in sorted(costs.operators, key=lambda op: -op.instructions)[:_LARGEST]:
        typer.echo(
            f"{op.instructions / 1e6:8.1f} M {share(op.instructions, costs):>7}  {op.kind} {op.tensor}"
        )
    typer.echo(f"{record}, {picture}")


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the devices that are made; one that is not whole is told of on stderr, with its hint."""
    from android_harness.emulator import EmulatedDevice, list_devices, open_device
    from android_harness.errors import HarnessError

    devices: list[EmulatedDevice] = []
    for name in list_devices():
        try:
            devices.append(open_device(name))
        except HarnessError as error:
            typer.echo(f"warning: {error}", err=True)
    rows = [
        {
            "name": d.name,
            "target": d.target,
            "processor": d.profile.name,
            "runtime": f"{d.sysroot.runtime} {d.sysroot.runtime_version}",
            "sysroot_sha256": d.sysroot.tree_sha256,
        }
        for d in devices
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['name']:<26} {row['processor']:<12} {row['runtime']}")
    if not list_devices():
        typer.echo("none; make one with `edgepose device create`", err=True)


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="The device, as `edgepose device list` names it.")],
) -> None:
    """Remove a device, and its files when no other device shares them."""
    from android_harness.emulator import remove_device

    remove_device(name)
    typer.echo(f"{name} is removed")


@app.command("doctor")
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine lacks for devices, and how to put it right; exits 1 when one is needed."""
    from android_harness.doctor import examine

    findings = examine()
    if as_json:
        print_json(findings)
    else:
        for f in findings:
            mark = "ok" if f.ok else "MISSING" if f.needed else "without"
            typer.echo(f"{mark:<8} {f.name}: {f.found}{f'; {f.hint}' if f.hint else ''}")
    if any(f.needed and not f.ok for f in findings):
        raise typer.Exit(1)
