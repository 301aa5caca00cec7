"""`pushcast device import|export`: devices from files and into files."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from pushcast.cli.lines import Lines, device_check
from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.cli.session import connect_by_user, require_app
from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError


class From(StrEnum):
    """Whose export a file is."""

    pushcast = "pushcast"
    onesignal = "onesignal"
    csv = "csv"


class Form(StrEnum):
    """How an export is written."""

    jsonl = "jsonl"
    csv = "csv"


def import_(
    file: Annotated[Path, typer.Argument(help="Lines of JSON, each a DeviceChange plus `user`; - reads stdin.")],
    source: Annotated[
        From, typer.Option("--from", help="Whose file it is; csv: as `device export --format csv`.")
    ] = From.pushcast,
    app: Annotated[str | None, typer.Option(help="Of which app the devices are; of files that do not say it.")] = None,
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
    lines = _lines(file, source, app, settings, told)
    if new_only or source is not From.pushcast:
        lines = _left_out(lines, _times(settings), told)
    with NoProducer() if dry_run else IntakeProducer(settings) as producer:
        intake = Lines(producer, device_check(settings) if check else None)
        sent = sum(1 for _ in intake.write(lines, lambda _: topics.DEVICE_CHANGED))
    skipped = {name.removeprefix("skipped "): count for name, count in told.items() if name.startswith("skipped ")}
    answer: dict[str, Any] = {"sent": sent, "refused": intake.refused}
    if new_only or source is not From.pushcast:
        answer |= {"unchanged": told["unchanged"], "outdated": told["outdated"], "skipped": skipped}
    if output is Output.json:
        print_json(answer)
    else:
        typer.echo(", ".join(f"{count} {name}" for name, count in answer.items() if name != "skipped"))
        for reason, count in sorted(skipped.items()):
            say(f"skipped: {count} {reason}")
    if intake.refused:
        raise typer.Exit(1)


def export(
    app: Annotated[str, typer.Option(help="The app.")],
    form: Annotated[Form, typer.Option("--format", help="Lines of JSON, or CSV.")] = Form.jsonl,
    plain: Annotated[
        bool, typer.Option("--plain", help="Open sealed tokens; needs the keyring. Without it they stay sealed.")
    ] = False,
) -> None:
    """Write every device of an app to stdout, as `device import` reads it. Imported again it changes nothing."""
    from pushcast.audit.device_rows import device_rows
    from pushcast.wire.content_keys import opened, sealed_under
    from pushcast.wire.device_export import COLUMNS, as_csv, registration_of
    from pushcast.wire.seals import Place, TokenKeys

    settings = connect_by_user()
    require_app(settings, app)
    keys = _keys(settings) if plain else None
    if plain:
        say("this export holds tokens as they are: whoever has it can send to these devices")
    writer = csv.DictWriter(sys.stdout, COLUMNS) if form is Form.csv else None
    if writer is not None:
        writer.writeheader()
    count = sealed = 0
    for found in device_rows(settings):
        row = found.row
        if row is None or row.is_gone or row.app != app:
            continue
        place = Place(row.app, row.platform, row.kind, found.user, row.device)
        address: bytes | None = row.address if not row.key_id else None
        if address is None and keys is not None:
            address = keys.open(row.key_id, row.address, place)
        content_key = None
        if row.content_key is not None and (keys is not None or not sealed_under(row.content_key)):
            content_key = opened(row.content_key, place, (keys or TokenKeys({}, None)).open)
        line = registration_of(found.user, row, address, content_key)
        if writer is not None:
            writer.writerow(as_csv(line))
        else:
            sys.stdout.write(orjson.dumps(line).decode() + "\n")
        count, sealed = count + 1, sealed + (address is None)
    say(f"{count} devices, {sealed} of them with a sealed token")


def _keys(settings: Settings) -> Any:
    from pushcast.stream.token_keys import read_keys
    from pushcast.wire.keyring import KeyringRole

    if settings.sealing.keyring_file is None:
        return None
    return read_keys(settings.sealing.keyring_file, KeyringRole.REGISTRAR)


def _lines(
    file: Path, source: From, app: str | None, settings: Settings, told: Counter[str]
) -> Iterator[tuple[int, bytes]]:
    """Numbered lines of JSON, whatever the file is."""
    from pushcast.kafka.intake import lines_of

    if source is From.pushcast:
        yield from lines_of(sys.stdin.buffer if str(file) == "-" else file)
        return
    if source is From.onesignal:
        if app is None:
            raise ConfigurationError(f"--from {source} needs --app")
        require_app(settings, app)
    with nullcontext(sys.stdin) if str(file) == "-" else file.open(encoding="utf-8-sig", newline="") as text:
        rows = enumerate(csv.DictReader(text), 2)
        yield from _own_csv(rows) if app is None or source is From.csv else _from_onesignal(rows, app, told)


def _own_csv(rows: Iterable[tuple[int, dict[str, str]]]) -> Iterator[tuple[int, bytes]]:
    from pushcast.wire.device_export import from_csv

    for number, row in rows:
        yield number, orjson.dumps(from_csv(row))


def _from_onesignal(
    rows: Iterable[tuple[int, dict[str, str]]], app: str, told: Counter[str]
) -> Iterator[tuple[int, bytes]]:
    from pushcast.wire.onesignal import Skipped, change_of

    for number, row in rows:
        found = change_of(row, app)
        if isinstance(found, Skipped):
            told[f"skipped {found}"] += 1
        else:
            user, event = found
            yield number, orjson.dumps({"user": user, **event})


def _times(settings: Settings) -> dict[bytes, int]:
    """When each device was last registered, or removed, by the key of its row."""
    from pushcast.audit.device_rows import device_rows
    from pushcast.model.ids import device_row_key

    return {
        device_row_key(found.user, found.row.app, found.row.device): found.row.registered_at
        for found in device_rows(settings)
        if found.row is not None
    }


def _left_out(
    lines: Iterable[tuple[int, bytes]], known: dict[bytes, int], told: Counter[str]
) -> Iterator[tuple[int, bytes]]:
    """Lines that are newer than what is there. What cannot be judged is left to the decoder."""
    from pushcast.model.errors import InvalidInput
    from pushcast.model.ids import device_row_key
    from pushcast.wire.times import to_ms

    for number, line in lines:
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
