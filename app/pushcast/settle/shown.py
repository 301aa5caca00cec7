"""Dead letters as they are shown and written out again, without a token or an address. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from pushcast.model.plural import counted
from pushcast.settle.hexdump import dump
from pushcast.settle.letters import Letter

_NOTIFICATIONS = "push.notification."
#: Headers whose text is shown; of others only how long they are: a producer may have put a secret there.
_KNOWN_HEADERS = ("push-", "__streams.errors.", "__connect.errors.", "kafka_dlt-", "traceparent")
MAX_HEADERS = 64
MAX_HEADER_CHARS = 200
_SECRET_FIELDS = frozenset({"token", "subscription", "address", "token_hash"})


def described(letter: Letter) -> dict[str, Any]:
    """For people and programs: everything but tokens and addresses."""
    raw = letter.raw
    row: dict[str, Any] = {
        "topic": raw.topic,
        "partition": raw.partition,
        "offset": raw.offset,
        "reason": letter.reason,
        "message": letter.message,
        "stage": letter.stage,
        "family": letter.family,
        "source": {
            "topic": letter.source_topic,
            "partition": letter.source_partition,
            "offset": letter.source_offset,
        },
        "attempts": letter.attempts,
        "first_seen_at": letter.first_seen_at,
        "apps": sorted(letter.apps),
        "redriven_from": letter.redriven_from,
        "value_bytes": None if raw.value is None else len(raw.value),
        "headers": [[name[:MAX_HEADER_CHARS], _header(name, value)] for name, value in raw.headers[:MAX_HEADERS]],
    }
    if letter.batch is not None:
        row["deliveries"] = [
            {
                "app": message.app,
                "notification": message.notification_ids[targets.notification[index]],
                "user": user,
                "device": targets.device[index],
                "delivery_id": targets.delivery_id[index].hex(),
                "attempts": targets.attempt[index],
                "expires_at": targets.expires_at[index],
            }
            for message in letter.batch.messages
            for targets in [message.targets]
            for index, user in enumerate(targets.user)
        ]
    else:
        event = letter.event
        row["user"] = next(iter(letter.users), None)
        # Only fields that are known to hold no secret by name; a broken event may hide a token anywhere else.
        row["event"] = None if event is None else {k: _plain(v) for k, v in event.items() if k not in _SECRET_FIELDS}
    row["bytes"] = dump(raw.value) if raw.value and letter.batch is None and letter.event is None else []
    return row


def _plain(value: Any) -> Any:
    return (
        value if isinstance(value, str | int | float | bool | None) else orjson.loads(orjson.dumps(value, default=str))
    )


def _header(name: str, value: bytes | None) -> str:
    """What stands in a header, where it is one of those that tell why a record is a dead letter."""
    if value is None:
        return "null"
    if not name.startswith(_KNOWN_HEADERS) or "stacktrace" in name:
        return counted(len(value), "byte")
    text = value.decode("utf-8", "replace")
    if not text.isprintable():
        return value[: MAX_HEADER_CHARS // 2].hex()
    return text if len(text) <= MAX_HEADER_CHARS else f"{text[:MAX_HEADER_CHARS]}…"


def line_of(letter: Letter) -> bytes | None:
    """The notification as a line of `pushcast send`, to be mended and sent again; None when it is none, or has no user.

    Lines keep the id: nothing was planned for it.
    """
    if letter.event is None or not letter.users or not letter.raw.topic.startswith(_NOTIFICATIONS):
        return None
    event = {name: value for name, value in letter.event.items() if value is not None and name not in _SECRET_FIELDS}
    return orjson.dumps({"user": next(iter(letter.users)), **event}, default=str)
