"""`pushcast key create|list|rotate|disable|enable`: keys of the HTTP API."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
import typer

from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect, require_app
from pushcast.config.settings import Settings
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.control.api_keys import (
    ApiKey,
    Hash,
    KeyLimits,
    Scope,
    app_key,
    decode_id,
    decode_record,
    encode_record,
    new_key,
)
from pushcast.wire.times import rfc3339

app = typer.Typer(name="key", help="Keys of the HTTP API: what each may do. The secret is shown once.")

IdArgument = Annotated[str, typer.Argument(help="Key id, the 8 characters after pc_.")]


def _known(settings: Settings) -> dict[str, ApiKey]:
    from pushcast.gateway.keyring import ApiKeyring
    from pushcast.kafka.switchboard import read_whole

    keys = ApiKeyring()
    read_whole(settings, topics.API_KEY, keys)
    return keys.records()


def _write(settings: Settings, key_id: str, record: ApiKey) -> None:
    """Raises InvalidInput for a key that every gateway would ignore: nobody must be shown one that opens nothing."""
    from pushcast.kafka.switchboard import write_record

    value = encode_record(record)
    decode_record(value)
    write_record(settings, topics.API_KEY, key_id.encode(), value)


def _changed(key_id: str) -> tuple[Settings, ApiKey]:
    settings = connect()
    decode_id(key_id.encode())
    record = _known(settings).get(key_id)
    if record is None:
        raise PushcastError(f"there is no key {key_id}; `pushcast key list` shows them")
    return settings, record


@app.command()
def create(
    scope: Annotated[list[Scope] | None, typer.Option(help="What it may do; repeat.")] = None,
    label: Annotated[str, typer.Option(help="For people.")] = "",
    app_name: Annotated[list[str] | None, typer.Option("--app", help="Only these apps.", show_default="all")] = None,
    klass: Annotated[list[str] | None, typer.Option("--class", help="Only these classes.", show_default="all")] = None,
    lane: Annotated[list[Lane] | None, typer.Option(help="Only these lanes.", show_default="all")] = None,
    max_audience: Annotated[
        int | None,
        typer.Option(min=1, help="Largest audience of a broadcast: counted first.", show_default="any"),
    ] = None,
    requests_per_minute: Annotated[int, typer.Option(min=1, help="Of each gateway process.")] = 10_000,
    notifications_per_minute: Annotated[int, typer.Option(min=1, help="Of each gateway process.")] = 1_000_000,
    output: OutputOption = Output.text,
) -> None:
    """Make a key and print it: nobody can show it again. Without --scope it may send and read reports."""
    settings = connect()
    for name in app_name or ():
        require_app(settings, name)
    unknown = [name for name in klass or () if name not in settings.classes]
    if unknown:
        raise typer.BadParameter(f"there is no class {unknown[0]!r}; classes are {', '.join(sorted(settings.classes))}")
    key_id, text, digest = new_key()
    record = ApiKey(
        scopes=tuple(scope or (Scope.NOTIFICATIONS_SEND, Scope.REPORTS_READ)),
        hashes=(Hash(digest, _now_ms()),),
        label=label,
        apps=_tuple(app_name),
        classes=_tuple(klass),
        lanes=_tuple(lane),
        max_audience=max_audience,
        limits=KeyLimits(requests_per_minute, notifications_per_minute),
    )
    _write(settings, key_id, record)
    _show_secret(key_id, text, output)


@app.command("create-app")
def create_app(
    app_name: Annotated[str, typer.Argument(metavar="APP", help="An app of the configuration.")],
    label: Annotated[str, typer.Option(help="For people.")] = "",
    requests_per_minute: Annotated[int, typer.Option(min=1, help="Of each gateway process.")] = 100_000,
    output: OutputOption = Output.text,
) -> None:
    """Make the public key that an app carries. It is no secret: users prove themselves by a token of your back end."""
    settings = connect()
    require_app(settings, app_name)
    key_id, _, _ = new_key()
    limits = KeyLimits(requests_per_minute, requests_per_minute)
    record = ApiKey((Scope.DEVICES_WRITE,), (), kind="app", label=label, apps=(app_name,), limits=limits)
    _write(settings, key_id, record)
    if output is Output.json:
        print_json({"id": key_id, "key": app_key(app_name, key_id)})
    else:
        typer.echo(app_key(app_name, key_id))


@app.command("list")
def list_(output: OutputOption = Output.text) -> None:
    """Show what each key may do. No secret is kept, so none is shown."""
    rows = [_row(key_id, record) for key_id, record in sorted(_known(connect()).items())]
    if output is Output.json:
        print_json({"keys": rows})
        return
    for row in rows:
        state = "disabled" if row["disabled"] else "valid"
        typer.echo(f"{row['id']}  {state:8}  {row['label'] or '-'}  {', '.join(row['scopes'])}")
    say(counted(len(rows), "key"))


@app.command()
def rotate(
    key_id: IdArgument,
    overlap: Annotated[str, typer.Option(help="How long the old secret stays valid: 0s, 10m, 24h, 7d.")] = "24h",
    output: OutputOption = Output.text,
) -> None:
    """Give a key a new secret, and print it; the old one stays valid for a while."""
    from pushcast.config.reading import with_seconds

    seconds = with_seconds({"overlap_seconds": overlap})["overlap_seconds"]
    if isinstance(seconds, str):
        raise typer.BadParameter("--overlap is a duration such as 10m or 24h")
    settings, record = _changed(key_id)
    now_ms = _now_ms()
    until_ms = now_ms + round(seconds * 1000)
    # Of more than one old secret only the newest stays: two are valid at a time.
    old = [msgspec.structs.replace(each, expires_at=until_ms) for each in record.hashes[-1:]]
    _, text, digest = new_key(key_id)
    _write(settings, key_id, msgspec.structs.replace(record, hashes=(*old, Hash(digest, now_ms))))
    _show_secret(key_id, text, output)


@app.command()
def disable(key_id: IdArgument, output: OutputOption = Output.text) -> None:
    """Refuse the key on every gateway within 2 seconds."""
    _set(key_id, True, output)


@app.command()
def enable(key_id: IdArgument, output: OutputOption = Output.text) -> None:
    """Take a disabled key again."""
    _set(key_id, False, output)


def _set(key_id: str, disabled: bool, output: Output) -> None:
    settings, record = _changed(key_id)
    _write(settings, key_id, msgspec.structs.replace(record, disabled=disabled))
    if output is Output.json:
        print_json({"id": key_id, "disabled": disabled})
    else:
        typer.echo(f"{key_id} is {'disabled' if disabled else 'valid'}")


def _show_secret(key_id: str, text: str, output: Output) -> None:
    if output is Output.json:
        print_json({"id": key_id, "key": text})
    else:
        typer.echo(text)
        say("this is the only time it is shown")


def _row(key_id: str, record: ApiKey) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(record)
    told["hashes"] = [
        {
            "created_at": rfc3339(each.created_at),
            "expires_at": None if each.expires_at is None else rfc3339(each.expires_at),
        }
        for each in record.hashes
    ]
    return {"id": key_id, **told}


def _tuple(values: list[Any] | None) -> tuple[Any, ...] | None:
    return None if not values else tuple(values)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
