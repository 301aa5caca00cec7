"""`pushcast schemas list|check|release`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.wire import release as releases
from pushcast.wire.schemas import NAMES, avro_type, lock

app = typer.Typer(name="schemas", help="The Avro schemas of the topics.", no_args_is_help=True)


@app.command("list")
def list_(output: OutputOption = Output.text) -> None:
    """List every schema with its version and fingerprint."""
    rows = [
        {"name": name, "version": len(lock().get(name, [])), "fingerprint": avro_type(name).fingerprint.hex()}
        for name in NAMES
    ]
    if output is Output.json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['name']:16} v{row['version']}  {row['fingerprint']}")


@app.command()
def check() -> None:
    """Check the schemas: exit 3 when one is not what the lock froze, or cannot read what an earlier release wrote."""
    found = releases.problems(lock())
    for problem in found:
        say(problem)
    if found:
        raise typer.Exit(3)
    typer.echo(f"{len(NAMES)} schemas are as released and read every earlier version")


@app.command()
def release(
    names: Annotated[list[str], typer.Argument(help="Schemas to freeze, by file name without .avsc.")],
    folder: Annotated[Path, typer.Option(help="The schemas folder.")] = Path("schemas"),
) -> None:
    """Freeze the current form of schemas in lock.json (maintainers)."""
    if unknown := sorted(set(names) - set(NAMES)):
        raise typer.BadParameter(f"no schema {', '.join(unknown)}; there are {', '.join(NAMES)}")
    new = releases.release(folder, names)
    typer.echo(f"released: {', '.join(new) or 'nothing new'}")
