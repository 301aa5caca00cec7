"""`pushcast segment`: named audiences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.cli.session import connect, content_of
from pushcast.cli.signed import as_said
from pushcast.model.errors import InvalidInput, PushcastError
from pushcast.wire.control.control import Kind, Name, SegmentRecord
from pushcast.wire.events.audience_leaves import check_segment_name
from pushcast.wire.events.audiences import parse_where, where_of

app = typer.Typer(help="Named audiences: trees of conditions that broadcasts use by their name.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="1 to 63 letters, digits and ._-")]


@app.command()
def put(
    name: NameArgument,
    file: Annotated[
        Path, typer.Argument(help="A tree of conditions as JSON, as a broadcast's `where`; - reads stdin.")
    ],
    comment: Annotated[str, typer.Option(help="What it is for.")] = "",
    output: OutputOption = Output.text,
) -> None:
    """Say what a name stands for from now on. Broadcasts that are spread already keep what it stood for."""
    from pushcast.kafka import switchboard
    from pushcast.wire.control.control_state import MAX_NAMES

    text = content_of(file)
    try:
        check_segment_name(name, "name")
        where: Any = orjson.loads(text)
        parse_where(where, "where")
    except orjson.JSONDecodeError as error:
        say(f"not_json: {error.msg}")
        raise typer.Exit(1) from None
    except InvalidInput as error:
        say(f"{error.reason}: {error}")
        raise typer.Exit(1) from None
    settings = connect()
    subject = Name(Kind.SEGMENT, name)
    if not switchboard.read_state(settings).has_room(subject):
        raise PushcastError(f"too_many: there are {MAX_NAMES:,} segments already")
    switchboard.write(settings, subject, SegmentRecord(where, as_said(comment)))
    _answer(output, {"name": name, "where": where}, [f"{name} is known"])


@app.command()
def show(name: NameArgument, output: OutputOption = Output.text) -> None:
    """What a name stands for now. Exit 1 when it stands for nothing."""
    from pushcast.kafka import switchboard

    node = switchboard.read_state(connect()).segment(name)
    if node is None:
        raise PushcastError(f"there is no segment {name!r}")
    where = where_of(node)
    _answer(output, {"name": name, "where": where}, [orjson.dumps(where, option=orjson.OPT_INDENT_2).decode()])


@app.command("list")
def list_segments(output: OutputOption = Output.text) -> None:
    """Every segment."""
    from pushcast.kafka import switchboard

    known = sorted(switchboard.read_state(connect()).segments.items())
    rows = [{"name": name, "where": where_of(node)} for name, node in known]
    _answer(output, rows, [f"{row['name']}  {orjson.dumps(row['where']).decode()}" for row in rows] or ["none"])


@app.command()
def delete(name: NameArgument, output: OutputOption = Output.text) -> None:
    """Forget a name. Broadcasts that need it afterwards become dead letters; running ones go on."""
    from pushcast.kafka import switchboard

    settings = connect()
    if switchboard.read_state(settings).segment(name) is None:
        raise PushcastError(f"there is no segment {name!r}")
    switchboard.write(settings, Name(Kind.SEGMENT, name), None)
    _answer(output, {"name": name, "deleted": True}, [f"{name} is forgotten"])


def _answer(output: Output, answer: Any, lines: list[str]) -> None:
    if output is Output.json:
        print_json(answer)
    else:
        typer.echo("\n".join(lines))
