"""Records that once ended a process, and their relatives: what makes each bad, and the field that a dead letter names.

By intake topic. Written by hand where orjson would refuse, which writes no number beyond 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from pushcast.model.notification import LiveActivity, LocalText, Options
from pushcast.wire.devices import devices
from pushcast.wire.events import notification_rules


class Poison(NamedTuple):
    """A record's value. `field`: what its dead letter names; None where no field is to blame. `limit`: a part of the
    message that tells what would be right."""

    name: str
    value: bytes | None
    field: str | None = None
    limit: str = ""


#: Beyond 32 bits, 53, 64 and everything, both ways.
BEYOND: Final = (2**31, 2**32, 2**53, 2**63, 2**64, -(2**31) - 1, -(2**63) - 1, -(10**29))
HUGE: Final = 10**29
DEEP: Final = (65, 254, 900, 5_000)
FRAME: Final = b"\xc3\x01"
NOTE: Final = {"id": "poison", "app": "news", "title": "t"}
REGISTER: Final = {"op": "register", "app": "news", "device": "d", "platform": "apns", "token": "ab" * 32}
_AT: Final = "@here@"


def text(base: dict[str, Any], path: str, raw: bytes) -> bytes:
    """JSON of `base` with `raw` at a dotted path."""
    tree: dict[str, Any] = orjson.loads(orjson.dumps(base))
    at = tree
    *parents, last = path.split(".")
    for name in parents:
        at = at.setdefault(name, {})
    at[last] = _AT
    return orjson.dumps(tree).replace(b'"%b"' % _AT.encode(), raw)


def fields_of(kind: Any) -> list[str]:
    """Names of a struct's fields in JSON."""
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def _nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def _activity(path: str, raw: bytes) -> bytes:
    live = {"event": "update", "content_state": {"a": 1}}
    base = NOTE | {"options": {"push_type": "liveactivity", "live_activity": live}}
    return text(base, f"options.live_activity.{path}", raw)


def notes() -> Iterator[Poison]:
    """For `push.notification.<lane>.v1`."""
    for field in fields_of(notification_rules.RawNotification):
        yield Poison(f"{HUGE} as {field}", text(NOTE, field, b"%d" % HUGE), field)
    for field in fields_of(Options):
        yield Poison(f"{HUGE} as options.{field}", text(NOTE, f"options.{field}", b"%d" % HUGE), f"options.{field}")
    for field in fields_of(LocalText):
        path = f"locales.de.{field}"
        yield Poison(f"{HUGE} as {path}", text(NOTE, path, b"%d" % HUGE), f"locales[...].{field}")
    for field in fields_of(LiveActivity):
        if field == "relevance_score":
            continue  # which may be any number
        path = f"options.live_activity.{field}"
        yield Poison(f"{HUGE} as {path}", _activity(field, b"%d" % HUGE), path)
    for number in BEYOND:
        raw = b"%d" % number
        yield Poison(f"{number} as badge", text(NOTE, "options.badge", raw), "options.badge")
        yield Poison(f"{number} as ttl", text(NOTE, "options.ttl_seconds", raw), "options.ttl_seconds")
        if not 2**53 > number > 2**40:
            yield Poison(f"{number} as created_at", text(NOTE, "created_at", raw), "created_at")
    for number in (2**64, HUGE, -HUGE):
        raw = b"%d" % number
        yield Poison(f"{number} within data", text(NOTE, "data.n", raw), "data.n")
        yield Poison(f"{number} within an override", text(NOTE, "platforms.apns.n", raw), "platforms.apns")
        path = "options.live_activity.content_state"
        yield Poison(f"{number} within a state", _activity("content_state.n", raw), path)
    for depth in DEEP:
        yield Poison(f"data {depth} deep", text(NOTE, "data", _nested(depth)), None, " deep")
        yield Poison(f"an override {depth} deep", text(NOTE, "platforms.apns", _nested(depth)), None, " deep")
        yield Poison(f"a state {depth} deep", _activity("content_state", _nested(depth)), None, "64")
    for path in ("title", "body", "id", "data.a", "locales.de.body", "options.thread_id", "link"):
        yield Poison(f"half a surrogate in {path}", text(NOTE, path, rb'"x \ud800 y"'), path)
        yield Poison(f"no UTF-8 in {path}", text(NOTE, path, b'"Gr\xfc\xdfe"'), path)
    for raw, what in ((b'""', "empty"), (b'"tomorrow"', "in words"), (b"1800000000", "in seconds"), (b"true", "true")):
        yield Poison(f"created_at {what}", text(NOTE, "created_at", raw), "created_at")
        yield Poison(f"expires_at {what}", text(NOTE, "expires_at", raw), "expires_at")
    yield Poison("created_at in microseconds", text(NOTE, "created_at", b"1800000000000000000"), "created_at")
    yield Poison("NaN", text(NOTE, "options.relevance_score", b"NaN"))
    yield Poison("a score of Avro's infinity", text(NOTE, "options.relevance_score", b"1e999"), None)
    yield Poison("an id of 257 bytes", text(NOTE, "id", b'"%b"' % (b"x" * 257)), "id", "256")
    yield Poison("a NUL in the id", text(NOTE, "id", rb'"a\u0000b"'), "id")
    yield Poison("content of 100 KB", text(NOTE, "body", b'"%b"' % (b"x" * 100_000)), None, "65536")


def changes() -> Iterator[Poison]:
    """For `push.device.changed.v1`."""
    for field in fields_of(devices._Raw):
        yield Poison(f"{HUGE} as {field}", text(REGISTER, field, b"%d" % HUGE), field)
    for number in BEYOND:
        if not 2**53 > number > 2**40:
            yield Poison(f"{number} as at", text(REGISTER, "at", b"%d" % number), "at")
    for raw in (b'""', b'"tomorrow"', b"1800000000", b"-1", b"true"):
        yield Poison(f"at {raw.decode()}", text(REGISTER, "at", raw), "at")
    for path in ("token", "device", "locale", "tags.a"):
        yield Poison(f"half a surrogate in {path}", text(REGISTER, path, rb'"x \ud800 y"'), path)
        yield Poison(f"no UTF-8 in {path}", text(REGISTER, path, b'"Gr\xfc\xdfe"'), path)
    yield Poison("201 topics", text(REGISTER, "topics", orjson.dumps(["t"] * 201)), "topics", "200")
    yield Poison("51 tags", text(REGISTER, "tags", orjson.dumps({f"t{n}": "" for n in range(51)})), "tags", "50")
    yield Poison("a device id of 257 bytes", text(REGISTER, "device", b'"%b"' % (b"x" * 257)), "device", "256")


def anywhere() -> Iterator[Poison]:
    """For every topic that a stage reads."""
    yield Poison("empty", b"")
    yield Poison("noise", bytes(range(128, 256)))
    yield Poison("half a frame", FRAME + b"\0\0\0")
    yield Poison("a schema of nobody", FRAME + b"\xfe" * 8 + b"whatever")
    yield Poison("a frame of a registry", b"\0" + b"\0\0\xff\xff" + b"whatever")
    yield Poison("half a JSON", b'{"id": "poi')
    yield Poison("no object", b"[1, 2")
    yield Poison("5,000 arrays", b"[" * 5_000)
    yield Poison("5,000 objects", b'{"data":' * 5_000)
