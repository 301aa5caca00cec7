"""`pushcast device export|release`: what reads every device of an app."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

import msgspec
import orjson
import typer

from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect_by_user, require_app
from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError
from pushcast.whole_files import write_whole
from pushcast.wire.json_errors import UNREADABLE

#: Behind the name of an export: how far it has come, until it is whole.
PROGRESS_SUFFIX: Final = ".progress"


class Form(StrEnum):
    """How an export is written."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


class ExportProgress(msgspec.Struct):
    """Of an export that was begun: what of it stands in the file. `devices`, `sealed`: counted so far."""

    app: str
    form: str
    plain: bool
    partitions: list[int] = []
    size_bytes: int = 0
    devices: int = 0
    sealed: int = 0


class ExportFile:
    """The file of an export, which can be taken up again after each partition. Without a path stdout, which cannot."""

    def __init__(self, text: TextIO, path: Path | None, progress: ExportProgress) -> None:
        self.text = text
        self.progress = progress
        self._path = path

    def finished(self, partition: int) -> None:
        """Every device of a partition is written."""
        self.progress.partitions.append(partition)
        if self._path is None:
            return
        self.text.flush()
        os.fsync(self.text.fileno())
        self.progress.size_bytes = self._path.stat().st_size
        _keep(self._path, self.progress)


def export(
    app: Annotated[str, typer.Option(help="The app.")],
    form: Annotated[
        Form,
        typer.Option(
            "--format", help="Lines of JSON, CSV, or Parquet: columns of text as in CSV, with the package pyarrow."
        ),
    ] = Form.jsonl,
    plain: Annotated[
        bool, typer.Option("--plain", help="Open sealed tokens; needs the keyring. Without it they stay sealed.")
    ] = False,
    file: Annotated[Path | None, typer.Option("--file", help="Write there, readable by you alone.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what an export left in --file when it was interrupted.")
    ] = False,
) -> None:
    """Write every device of an app, as `device import` reads it: to stdout, or into a file. Imported again it changes
    nothing."""
    settings = connect_by_user()
    require_app(settings, app)
    keys, progress = (_keys(settings) if plain else None), ExportProgress(app, form.value, plain)
    if plain:
        say("this export holds tokens as they are: whoever has it can send to these devices")
    if form is Form.parquet:
        _as_parquet(settings, progress, keys, file, resume=resume)
    else:
        progress = _as_text(settings, progress, keys, form, file, resume=resume)
    say(f"{progress.devices} devices, {progress.sealed} of them with a sealed token")


def _as_text(
    settings: Settings, wanted: ExportProgress, keys: Any, form: Form, file: Path | None, *, resume: bool
) -> ExportProgress:
    with _opened(file, wanted, resume=resume) as out:
        write = _writer(out, form)
        for partition, lines in _devices(settings, out.progress, keys):
            for line in lines:
                write(line)
            out.finished(partition)
    if file is not None:
        _progress_of(file).unlink(missing_ok=True)
    return out.progress


def _as_parquet(settings: Settings, progress: ExportProgress, keys: Any, file: Path | None, *, resume: bool) -> None:
    from pushcast.cli.parquet import pyarrow_for, write_texts
    from pushcast.wire.devices.device_export import COLUMNS, as_csv

    option = "--format parquet"
    if resume:
        raise ConfigurationError(f"--resume goes on with lines: {option} is written in one go")
    if file is None:
        raise ConfigurationError(f"{option} is no text: name a --file")
    pyarrow_for(option)  # before anything is made
    rows = (as_csv(line) for _, lines in _devices(settings, progress, keys) for line in lines)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{file} is there already") from None
    with os.fdopen(descriptor, "wb") as opened:
        write_texts(option, COLUMNS, rows, opened)


def _devices(settings: Settings, progress: ExportProgress, keys: Any) -> Iterator[tuple[int, Iterator[dict[str, Any]]]]:
    """What stands for each device, by partition, without those that were finished before. Counts in `progress`."""
    from pushcast.audit.device_rows import by_partition

    def lines(rows: Iterator[Any]) -> Iterator[dict[str, Any]]:
        for found in rows:
            row = found.row
            if row is not None and not row.is_gone and row.app == progress.app:
                line, is_sealed = _line(found.user, row, keys)
                progress.devices, progress.sealed = progress.devices + 1, progress.sealed + is_sealed
                yield line

    for partition, rows in by_partition(settings, frozenset(progress.partitions)):
        yield partition, lines(rows)


def release(
    app: Annotated[str, typer.Option(help="The app.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and write nothing.")] = False,
    output: OutputOption = Output.text,
) -> None:
    """Let all devices of an app that were imported with --held be pushed to. Again it does what is left."""
    from pushcast.audit.device_rows import device_rows
    from pushcast.kafka.intake import IntakeProducer, NoProducer
    from pushcast.model.device import DeviceState, Operation
    from pushcast.wire import topics

    settings = connect_by_user()
    require_app(settings, app)
    written = 0
    with NoProducer() if dry_run else IntakeProducer(settings) as producer:
        for found in device_rows(settings):
            row = found.row
            if row is not None and row.app == app and row.state == DeviceState.STAGED:
                event = {"op": Operation.ACTIVATE.value, "app": app, "device": row.device}
                producer.put(topics.DEVICE_CHANGED, found.user, orjson.dumps(event))
                written += 1
    if output is Output.json:
        print_json({"app": app, "released": written})
    else:
        typer.echo(f"{counted(written, 'device')} {'would be ' if dry_run else ''}released")


def _line(user: str, row: Any, keys: Any) -> tuple[dict[str, Any], bool]:
    """What stands for a device, and whether its token stays sealed."""
    from pushcast.wire.devices.content_keys import opened, sealed_under
    from pushcast.wire.devices.device_export import registration_of
    from pushcast.wire.sealing.seals import Place, TokenKeys

    place = Place(row.app, row.platform, row.kind, user, row.device)
    address: bytes | None = row.address if not row.key_id else None
    if address is None and keys is not None:
        address = keys.open(row.key_id, row.address, place)
    content_key = None
    if row.content_key is not None and (keys is not None or not sealed_under(row.content_key)):
        content_key = opened(row.content_key, place, (keys or TokenKeys({}, None)).open)
    return registration_of(user, row, address, content_key), address is None


def _writer(out: ExportFile, form: Form) -> Any:
    from pushcast.wire.devices.device_export import COLUMNS, as_csv

    if form is Form.jsonl:
        return lambda line: out.text.write(orjson.dumps(line).decode() + "\n")
    writer = csv.DictWriter(out.text, COLUMNS)
    if not out.progress.partitions:
        writer.writeheader()
    return lambda line: writer.writerow(as_csv(line))


@contextmanager
def _opened(file: Path | None, wanted: ExportProgress, *, resume: bool) -> Iterator[ExportFile]:
    """Raises ConfigurationError when there is nothing to go on with, or something that would be lost."""
    if file is None:
        if resume:
            raise ConfigurationError("--resume needs --file: what went to stdout is not known here")
        yield ExportFile(sys.stdout, None, wanted)
        return
    progress = _begun(file, wanted) if resume else wanted
    if not resume and file.exists():
        raise ConfigurationError(f"{file} is there: --resume goes on with it, if it was interrupted")
    _keep(file, progress)  # before the file: what is there without it would be whole
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    os.ftruncate(descriptor, progress.size_bytes)
    with os.fdopen(descriptor, "a", encoding="utf-8", newline="") as text:
        text.seek(0, os.SEEK_END)
        yield ExportFile(text, file, progress)


def _begun(file: Path, wanted: ExportProgress) -> ExportProgress:
    """What an interrupted export has written; nothing, if it was interrupted in its first partition."""
    progress_file = _progress_of(file)
    if not progress_file.exists():
        if file.exists():
            raise ConfigurationError(f"{file} is whole, or of another program: there is no {progress_file.name}")
        return wanted
    try:
        progress = msgspec.json.decode(progress_file.read_bytes(), type=ExportProgress)
    except UNREADABLE as error:
        raise ConfigurationError(f"{progress_file}: {error}") from error
    asked = wanted.app, wanted.form, wanted.plain
    if (progress.app, progress.form, progress.plain) != asked:
        raise ConfigurationError(f"{file} was begun with another --app, --format or --plain")
    if progress.size_bytes and (not file.exists() or file.stat().st_size < progress.size_bytes):
        raise ConfigurationError(f"{file} is shorter than {progress_file.name} says: begin anew")
    return progress


def _keep(file: Path, progress: ExportProgress) -> None:
    write_whole(_progress_of(file), msgspec.json.encode(progress))


def _progress_of(file: Path) -> Path:
    return file.with_name(file.name + PROGRESS_SUFFIX)


def _keys(settings: Settings) -> Any:
    from pushcast.stream.token_keys import read_keys
    from pushcast.wire.sealing.keyring import KeyringRole

    if settings.sealing.keyring_file is None:
        return None
    return read_keys(settings.sealing.keyring_file, KeyringRole.REGISTRAR)
