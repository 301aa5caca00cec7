"""`pushcast device import`: devices from files, ours and other systems'."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import msgspec
import orjson
import typer

from pushcast.cli.lines import Lines, NumberedLine, device_check
from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.cli.session import connect_by_user, require_app
from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.wire.migrate.files import System, found_in
from pushcast.wire.migrate.rows import Import, ImportMap, Skipped
from pushcast.wire.migrate.tables import CsvTable
from pushcast.wire.times import to_ms


class From(StrEnum):
    """Whose export a file is."""

    pushcast = "pushcast"
    onesignal = "onesignal"
    airship = "airship"
    countly = "countly"
    parse = "parse"
    sns = "sns"
    azure = "azure"
    csv = "csv"


def import_(
    file: Annotated[Path, typer.Argument(help="Lines of JSON, each a DeviceChange plus `user`; - reads stdin.")],
    source: Annotated[
        From,
        typer.Option("--from", help="Whose file it is; csv: as `device export --format csv`, or your own with --map."),
    ] = From.pushcast,
    app: Annotated[str | None, typer.Option(help="Of which app the devices are; of files that do not say it.")] = None,
    names: Annotated[
        Path | None, typer.Option("--map", help="JSON file: which column, tag or topic of theirs is which of ours.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="When devices were last active that say no time: RFC 3339, best when the file was made."),
    ] = None,
    held: Annotated[
        bool, typer.Option("--held", help="Devices that are new are not pushed to before `device release`.")
    ] = False,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Refuse what would become a dead letter.")] = True,
    new_only: Annotated[
        bool,
        typer.Option("--new-only", help="Read the devices first, and leave out what is there or is newer."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and write nothing.")] = False,
    output: OutputOption = Output.text,
) -> None:
    """Write device changes; returns when Kafka has all of them. Exit 1 when a line was refused."""
    from pushcast.kafka.intake import IntakeProducer, NoProducer
    from pushcast.wire import topics

    settings = connect_by_user()
    told: Counter[str] = Counter()
    first_line: dict[str, int] = {}
    lines = _lines(file, source, _how(settings, source, app, names, at), told, first_line)
    if held:
        lines = map(_staged, lines)
    if new_only or source is not From.pushcast:
        lines = _left_out(lines, _times(settings), told)
    with NoProducer() if dry_run else IntakeProducer(settings) as producer:
        intake = Lines(producer, device_check(settings) if check else None)
        sent = sum(1 for _ in intake.write(lines, lambda _: topics.DEVICE_CHANGED))
    skipped = {name.removeprefix("skipped "): count for name, count in told.items() if name.startswith("skipped ")}
    answer: dict[str, Any] = {"sent": sent, "refused": intake.refused}
    if new_only or source is not From.pushcast:
        left = told["unchanged"] + told["outdated"] + sum(skipped.values())
        answer = {"read": sent + intake.refused + left, **answer}
        answer |= {"unchanged": told["unchanged"], "outdated": told["outdated"], "skipped": skipped}
    if output is Output.json:
        print_json(answer)
    else:
        typer.echo(", ".join(f"{count} {name}" for name, count in answer.items() if name != "skipped"))
        for reason, count in sorted(skipped.items()):
            say(f"skipped: {count} {reason}, the first in line {first_line[reason]}")
    if intake.refused:
        raise typer.Exit(1)


def _how(settings: Settings, source: From, app: str | None, names: Path | None, at: str | None) -> Import | None:
    """How a foreign file is read; None: it is ours. Raises ConfigurationError."""
    if source is From.pushcast or (source is From.csv and names is None):
        if names is not None or at is not None:
            raise ConfigurationError("--map and --at are for files of other systems; lines of ours say both")
        return None
    if app is None:
        raise ConfigurationError(f"--from {source} needs --app")
    require_app(settings, app)
    if at is not None:
        try:
            to_ms(at, "at", 0)
        except InvalidInput as error:
            raise ConfigurationError(f"--at: {error}") from error
    if names is None:
        return Import(app, at)
    try:
        return Import(app, at, msgspec.json.decode(names.read_bytes(), type=ImportMap))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"--map {names}: {error}") from error


def _lines(
    file: Path, source: From, how: Import | None, told: Counter[str], first_line: dict[str, int]
) -> Iterator[NumberedLine]:
    """Lines of JSON, whatever the file is. Why rows are left out is counted in `told`."""
    from pushcast.kafka.intake import lines_of

    if source is From.pushcast:
        yield from lines_of(sys.stdin.buffer if str(file) == "-" else file)
        return
    with _text_of(file) as text:
        if how is None:
            yield from _own_csv(CsvTable(text))
            return
        for number, found in found_in(text, System.table if source is From.csv else System(source), how):
            if isinstance(found, Skipped):
                told[f"skipped {found}"] += 1
                first_line.setdefault(found, number)
            elif isinstance(found, InvalidInput):
                yield number, found
            else:
                user, event = found
                yield number, orjson.dumps({"user": user, **event})


@contextmanager
def _text_of(file: Path) -> Iterator[TextIO]:
    """Bytes that are no UTF-8 stay in the text as half surrogates: whoever reads a row of them refuses that row. Raises
    ConfigurationError for a file that cannot be opened."""
    try:
        binary = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from error
    with io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        yield text


def _own_csv(table: CsvTable) -> Iterator[NumberedLine]:
    from pushcast.wire.devices.device_export import from_csv

    table.need(("user",), "export of `device export` (a table of your own needs --map)")
    for number, row in table:
        yield number, row if isinstance(row, InvalidInput) else orjson.dumps(from_csv(row))


def _staged(line: NumberedLine) -> NumberedLine:
    """A registration that waits for `device release`. What cannot be read is left to the decoder."""
    number, value = line
    if isinstance(value, InvalidInput):
        return line
    try:
        event = orjson.loads(value)
        is_registration = isinstance(event, dict) and event.get("op") == "register"
        return (number, orjson.dumps({**event, "staged": True})) if is_registration else line
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # the second: nested deeper than it writes
        return line


def _times(settings: Settings) -> dict[bytes, int]:
    """When each device was last registered, or removed, by the key of its row."""
    from pushcast.audit.device_rows import device_rows
    from pushcast.model.ids import device_row_key

    return {
        device_row_key(found.user, found.row.app, found.row.device): found.row.registered_at
        for found in device_rows(settings)
        if found.row is not None
    }


def _left_out(lines: Iterable[NumberedLine], known: dict[bytes, int], told: Counter[str]) -> Iterator[NumberedLine]:
    """Lines that are newer than what is there. What cannot be judged is left to the decoder."""
    from pushcast.model.ids import device_row_key

    for number, line in lines:
        if isinstance(line, InvalidInput):
            yield number, line
            continue
        try:
            event = orjson.loads(line)
            key = device_row_key(event["user"], event["app"], event["device"])
            at = to_ms(event["at"], "at", 0)
        except (orjson.JSONDecodeError, KeyError, TypeError, InvalidInput):
            yield number, line
            continue
        there = known.get(key)
        if there is None or at > there:
            yield number, line
        else:
            told["unchanged" if at == there else "outdated"] += 1
