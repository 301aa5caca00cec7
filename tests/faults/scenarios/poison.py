"""Malformed records of all kinds among good ones: every good one is delivered, every bad one is a dead letter."""

from __future__ import annotations

import random
from collections.abc import Callable

import orjson

from faults.rig import Rig
from pushcast.demo.produce import producer_of
from pushcast.model.words import Lane
from pushcast.wire import topics
from twins.poison import anywhere, notes
from twins.raw_kafka import CODECS, RawProducer, RawRecord

NAME = "poison"
TITLE = "Malformed records among good ones"
GOOD_SECONDS = 600.0
DEAD_LETTER_SECONDS = 60.0
FLUSH_SECONDS = 60.0
FRAME = b"\xc3\x01"  # Avro single-object encoding
GOOD = {"id": "poison", "app": "news", "title": "t", "body": "b"}

Malformed = tuple[bytes | None, bytes | None]  # key, value


def _json(**changes: object) -> bytes:
    return orjson.dumps({name: value for name, value in (GOOD | changes).items() if value is not ...})


def _with(options: bytes) -> bytes:
    """By hand: orjson writes no number beyond 64 bits."""
    return b'{"id": "poison", "app": "news", "title": "t", "options": %b}' % options


def _state(depth: int) -> bytes:
    state = b'{"a":' * depth + b"1" + b"}" * depth
    return b'{"push_type": "liveactivity", "live_activity": {"event": "update", "content_state": %b}}' % state


HUGE = [2**31, 2**63, 2**64, 10**29, -(2**70)]

KINDS: dict[str, Callable[[random.Random], Malformed]] = {
    "noise": lambda rng: (b"user-1", rng.randbytes(rng.randint(1, 400))),
    "empty": lambda _: (b"user-1", b""),
    "null_value": lambda _: (b"user-1", None),
    "half_json": lambda rng: (b"user-1", _json()[: rng.randint(1, 30)]),
    "not_an_object": lambda rng: (b"user-1", rng.choice([b"[]", b"42", b'"text"', b"null", b"true"])),
    "no_id": lambda _: (b"user-1", _json(id=...)),
    "no_content": lambda _: (b"user-1", _json(title=..., body=...)),
    "unknown_field": lambda _: (b"user-1", _json(tilte="a typing mistake")),
    "wrong_type": lambda rng: (b"user-1", _json(**{rng.choice(["id", "title", "options", "data"]): 7})),
    "unknown_app": lambda _: (b"user-1", _json(app="nobody-knows-it")),
    "unknown_class": lambda _: (b"user-1", _json(**{"class": "nobody-knows-it"})),
    "nul_in_id": lambda _: (b"user-1", _json(id="a\0b")),
    "long_id": lambda rng: (b"user-1", _json(id="x" * rng.randint(257, 5000))),
    "bad_time": lambda _: (b"user-1", _json(expires_at="tomorrow, perhaps")),
    "no_key": lambda _: (None, _json()),
    "empty_key": lambda _: (b"", _json()),
    "key_not_utf8": lambda rng: (b"\xff" + rng.randbytes(8), _json()),
    "long_key": lambda _: (b"u" * 300, _json()),
    "deep": lambda rng: (b"user-1", b'{"data":' * rng.randint(200, 5000)),
    "large": lambda rng: (b"user-1", _json(body="x" * rng.randint(100_000, 600_000), nonsense=1)),
    "unknown_schema": lambda rng: (b"user-1", FRAME + rng.randbytes(8) + b"whatever"),
    "registry_frame": lambda rng: (b"user-1", b"\0" + rng.randbytes(4) + b"whatever"),
    "huge_badge": lambda rng: (
        b"user-1",
        _with(b'{"badge": %d}' % rng.choice(HUGE)),
    ),
    "huge_time": lambda rng: (b"user-1", _json(created_at=rng.choice([2**53, 2**63 - 1, -1, 1_800_000_000]))),
    "deep_state": lambda rng: (b"user-1", _with(_state(rng.randint(65, 900)))),
    "half_surrogate": lambda _: (b"user-1", rb'{"id": "poison", "app": "news", "title": "\ud800 and more"}'),
    "half_frame": lambda rng: (b"user-1", FRAME + rng.randbytes(rng.randint(0, 7))),
    **{kind.name: lambda _, kind=kind: (b"user-1", kind.value) for kind in (*notes(), *anywhere())},  # type: ignore[misc]
}

#: Headers as other clients write them: names that are no UTF-8, long ones, null values.
HEADERS: list[list[tuple[bytes, bytes | None]]] = [
    [],
    [(b"x", None)],
    [(b"x-gr\xf6sse", b"1")],
    [(b"n" * 40_000, b"1")],
    [(b"h%d" % number, b"v") for number in range(100)],
]


def malformed(number: int, rng: random.Random) -> Malformed:
    """The kinds in turn."""
    kinds = list(KINDS.values())
    return kinds[number % len(kinds)](rng)


def story(rig: Rig) -> None:
    good, bad = rig.size.good, rig.size.bad
    assert rig.load is not None
    load = rig.load
    producer = producer_of(rig.world.settings, log_level=0)
    raw = RawProducer(rig.world.settings.kafka.bootstrap_servers)
    letters = sum(_letters(rig).values())
    written = 0

    def mixed() -> bool:
        nonlocal written
        while written < min(bad, -(-bad * load.acknowledged // good)):
            key, value = malformed(written, rig.rng)
            lane = rig.rng.choice(rig.size.lanes)
            partition = rig.rng.randrange(rig.world.settings.kafka.partitions)
            if written % 2:  # as no client of ours would: in any codec, with odd headers, without a time
                at = rig.rng.choice([None, -1])
                record = RawRecord(key, value, rig.rng.choice(HEADERS), at)
                raw.produce(topics.notification(lane), partition, [record], rig.rng.choice(list(CODECS.values())))
            else:
                producer.produce(topics.notification(lane), value, key, partition)
            producer.poll(0)
            written += 1
        return load.acknowledged >= good

    rig.require(rig.until(mixed, GOOD_SECONDS), f"only {load.acknowledged} of {good} good events in time")
    rig.require(producer.flush(FLUSH_SECONDS) == 0, "not all malformed records were written")
    raw.close()
    complete = rig.until(lambda: sum(_letters(rig).values()) - letters >= written, DEAD_LETTER_SECONDS)
    found = sum(_letters(rig).values()) - letters
    rig.require(complete and found == written, f"{written} malformed records, {found} dead letters")
    rig.numbers |= {"malformed": written, "kinds": len(KINDS), "dead_letters": found}


def _letters(rig: Rig) -> dict[Lane, int]:
    return {
        lane: sum(rig.auditor.books.end_offsets(topics.dead_letter(topics.notification(lane))))
        for lane in rig.size.lanes
    }
