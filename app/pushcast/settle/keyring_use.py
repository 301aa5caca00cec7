"""What the steps of a rotation look at: which processes hold which keys, and how many rows are under each."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

from pushcast.config.settings import Settings
from pushcast.kafka.clients import client_config
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import is_user_row
from pushcast.settle.logs import Logs
from pushcast.wire import topics
from pushcast.wire.devices.content_keys import sealed_under
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.schemas import UnknownRelease
from pushcast.wire.sealing.key_seals import told, total
from pushcast.wire.sealing.keyring_holders import Holder, live


def holders(settings: Settings, now_ms: int) -> list[Holder]:
    """Live registrars and senders that have a keyring. Raises PushcastError when Kafka does not answer."""
    logs = _logs(settings)
    try:
        spots = logs.filled([topics.WHERE])
        records = [(record.key(), record.value()) for spot in spots for record in logs.read(*spot)]
    finally:
        logs.close()
    return live(records, now_ms)


def seals_by_key(settings: Settings) -> Counter[str]:
    """How often each key has sealed, as registrars tell it once a minute. Raises PushcastError."""
    logs = _logs(settings)
    try:
        spots = logs.filled([topics.WHERE])
        return total(told((record.key(), record.value()) for spot in spots for record in logs.read(*spot)))
    finally:
        logs.close()


def rows_by_key(settings: Settings) -> Counter[str]:
    """How many device rows are under each key, "" being none: a row whose address and content key are under two is
    counted with both. Reads the devices topic whole and remembers about 100
    bytes a row. Raises PushcastError."""
    last: dict[bytes, tuple[str, ...]] = {}
    same: dict[tuple[str, ...], tuple[str, ...]] = {}
    logs = _logs(settings)
    try:
        for spot in logs.filled([topics.DEVICE]):
            for record in logs.read(*spot):
                key, value = record.key(), record.value()
                if key is None or key.startswith((b"\0", b"\xff")) or is_user_row(key):
                    continue
                name = blake2b(key, digest_size=12).digest()
                last.pop(name, None)
                if value is not None and (key_ids := _key_ids(value)):
                    last[name] = same.setdefault(key_ids, key_ids)
    finally:
        logs.close()
    return Counter(key_id for key_ids in last.values() for key_id in key_ids)


def _key_ids(value: bytes) -> tuple[str, ...]:
    """Empty of a row without an address, or that cannot be read: nobody opens it. Raises InvalidInput for a row that a
    later release wrote: its processes open it."""
    try:
        row = decode_row(value)
    except InvalidInput as error:
        if isinstance(error, UnknownRelease):
            raise
        return ()
    if not row.address:
        return ()
    of_content = [] if row.content_key is None else [sealed_under(row.content_key)]
    return tuple(dict.fromkeys([row.key_id, *of_content]))


def _logs(settings: Settings) -> Logs:
    return Logs(client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True))
