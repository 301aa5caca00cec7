"""`pushcast seal`: the keyring of tokens. Each step looks first whether it is safe."""

from __future__ import annotations

import secrets
import time
from base64 import b64encode
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.cli.session import connect
from pushcast.config.settings import Settings, load
from pushcast.model.errors import ConfigurationError
from pushcast.model.key_wear import ALARM_SEALS
from pushcast.stream.token_keys import outer_key, read_ring, read_secret
from pushcast.whole_files import write_whole
from pushcast.wire.sealing.keyring import (
    HASH_KEY,
    VERSION,
    IntakeKey,
    Keyring,
    KeyringRole,
    KeyState,
    encode_keyring,
    part_of,
    wrap,
)
from pushcast.wire.sealing.keyring_holders import Holder
from pushcast.wire.sealing.rotation import KeyUsage, emptied, promote, retire, with_intake, with_key
from pushcast.wire.sealing.seals import KEY_BYTES, NONCE_BYTES
from pushcast.wire.times import rfc3339, to_ms

app = typer.Typer(help="Keys of tokens: add, promote, retire (docs/sealing.md).", no_args_is_help=True)
KeyringOption = Annotated[
    Path | None, typer.Option("--keyring", help="The whole keyring.", show_default="sealing.keyring_file")
]
KeyArgument = Annotated[str, typer.Argument(help="Id of a key: a to z, digits, - and _, at most 32.")]


@app.command("add")
def add_(
    key_id: KeyArgument,
    keyring: KeyringOption = None,
    outer: Annotated[Path | None, typer.Option(help="For a new keyring: file of the key that wraps its keys.")] = None,
) -> None:
    """Put a new key into the keyring, which is made if there is none. It opens; the first one seals."""
    file = _file(keyring)
    ring = read_ring(file) if file.exists() else _new_ring(file, outer)
    wrapped = wrap(secrets.token_bytes(KEY_BYTES), outer_key(ring), key_id, secrets.token_bytes(NONCE_BYTES))
    _write(file, with_key(ring, key_id, wrapped, rfc3339(_now_ms())))
    typer.echo(f"{key_id} is in {file}: give every role its part (`pushcast seal part`), then promote it")


@app.command("intake")
def intake_(key_id: KeyArgument, keyring: KeyringOption = None) -> None:
    """Put a new key pair into the keyring, for which producers seal. Prints the public key."""
    file = _file(keyring)
    ring, pair = read_ring(file), X25519PrivateKey.generate()
    wrapped = wrap(pair.private_bytes_raw(), outer_key(ring), key_id, secrets.token_bytes(NONCE_BYTES))
    public = b64encode(pair.public_key().public_bytes_raw()).decode()
    _write(file, with_intake(ring, IntakeKey(key_id, public, wrapped)))
    typer.echo(public)
    say(f"{key_id} is in {file}: give registrars their part before a producer seals for it")


@app.command("part")
def part_(
    role: Annotated[KeyringRole, typer.Argument(help="Whose.")],
    to: Annotated[Path, typer.Option("--to", help="The file to write.")],
    keyring: KeyringOption = None,
) -> None:
    """Write the part of the keyring that a role needs, and nothing else of it."""
    _write(to, part_of(read_ring(_file(keyring)), role))
    typer.echo(f"the {role}'s part is in {to}")


@app.command("status")
def status_(keyring: KeyringOption = None, output: OutputOption = Output.text) -> None:
    """Show each key with its rows, how often it has sealed and the processes that hold it. Reads the devices topic
    whole."""
    from pushcast.settle.keyring_use import holders, rows_by_key, seals_by_key

    ring, settings = read_ring(_file(keyring)), connect()
    there, rows, seals = holders(settings, _now_ms()), rows_by_key(settings), seals_by_key(settings)
    found = [_row(key.id, key.state, key.empty_since, rows, there) | _wear(seals[key.id]) for key in ring.keys]
    if output is Output.json:
        print_json({"keys": found, "plain_rows": rows[""], "processes": [holder.name for holder in there]})
        return
    for row in found:
        missing = f", not held by {', '.join(row['missing'])}" if row["missing"] else ""
        worn = ", worn: let another key seal" if row["worn"] else ""
        seals_ = f"{row['seals']:,} seals{worn}"
        typer.echo(f"{row['id']}  {row['state']}  {row['rows']:,} rows  {seals_}  held by {row['held']}{missing}")
    say(f"{rows['']:,} rows are not sealed; {len(there)} processes with a keyring")


@app.command("promote")
def promote_(key_id: KeyArgument, keyring: KeyringOption = None) -> None:
    """Let this key seal. Refused until every live registrar and sender holds it."""
    from pushcast.settle.keyring_use import holders

    file, settings = _file(keyring), connect()
    held = {holder.name: holder.ids for holder in holders(settings, _now_ms())}
    _write(file, promote(read_ring(file), key_id, held))
    typer.echo(f"{key_id} seals in {file}: give registrars their part; {len(held)} processes hold the key")


@app.command("retire")
def retire_(key_id: KeyArgument, keyring: KeyringOption = None) -> None:
    """Take a key away. Refused, with counts, while something may have to be opened with it. Call it once when no row is
    under the key, and again 28 days later."""
    from pushcast.settle.keyring_use import holders, rows_by_key

    file, settings, now_ms = _file(keyring), connect(), _now_ms()
    rows = rows_by_key(settings)[key_id]
    ring = emptied(read_ring(file), key_id, None if rows else rfc3339(now_ms))
    _write(file, ring)
    key = ring.key(key_id)
    since_ms = now_ms if key is None or key.empty_since is None else to_ms(key.empty_since, "empty_since", now_ms)
    sealing = {holder.name: holder.sealing for holder in holders(settings, now_ms)}
    _write(file, retire(ring, key_id, KeyUsage(rows, since_ms), sealing, now_ms))
    typer.echo(f"{key_id} is gone from {file}: give every role its part")


def _row(key_id: str, state: KeyState, empty: str | None, rows: Counter[str], there: list[Holder]) -> dict[str, Any]:
    missing = [holder.name for holder in there if key_id not in holder.ids]
    held = len(there) - len(missing)
    return {"id": key_id, "state": state, "rows": rows[key_id], "empty_since": empty, "held": held, "missing": missing}


def _wear(seals: int) -> dict[str, Any]:
    return {"seals": seals, "worn": seals >= ALARM_SEALS}


def _file(keyring: Path | None) -> Path:
    file = keyring or _configured(load())
    if file is None:
        raise ConfigurationError("name the keyring: --keyring, or sealing.keyring_file")
    return file


def _configured(settings: Settings) -> Path | None:
    return settings.sealing.keyring_file


def _new_ring(file: Path, outer: Path | None) -> Keyring:
    if outer is None:
        raise ConfigurationError(f"{file} is not there; for a new keyring name the outer key's file: --outer")
    outer = outer.absolute()
    if not outer.exists():
        write_whole(outer, b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n", private=True)
    read_secret(outer, "--outer")
    ring = Keyring(f"file:{outer}", VERSION)
    hash_key = wrap(secrets.token_bytes(KEY_BYTES), outer_key(ring), HASH_KEY, secrets.token_bytes(NONCE_BYTES))
    return Keyring(ring.wrapped_by, VERSION, hash_key)


def _write(file: Path, ring: Keyring) -> None:
    write_whole(file, encode_keyring(ring), private=True)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
