"""The law of the two ways of a request: the quick one answers and writes what the usual one does, whatever the body.

Both run in gateways that listen. A query, even an empty one, makes a request go the usual way.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushcast.gateway.quick import Quick
from twins.gateway import Rig

TEXTS: Final = st.one_of(
    st.sampled_from(["a", "news", "shop", "digest", "device:1", "", "\0", "\ud800"]), st.text(max_size=5)
)
VALUES: Final = st.recursive(
    st.one_of(TEXTS, st.integers(-(10**20), 10**20), st.floats(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)
NAMES: Final = st.sampled_from(
    [
        *("id", "user", "app", "class", "title", "body", "data", "locales", "options", "created_at", "expires_at"),
        *("trace", "subtitle", "image", "link", "category", "actions", "platforms", "deliver_at", "deliver_local_at"),
        *("time_zone", "spread_seconds", "campaign", "digest_key", "revision", "usr"),
    ]
)
VALID: Final = st.fixed_dictionaries(
    {"user": st.sampled_from(["u", "ü"]), "title": TEXTS, "id": st.sampled_from(["n", "m"])}
)
FIELDS: Final = st.dictionaries(NAMES, VALUES, max_size=3)


def members(fields: dict[str, Any], more: dict[str, Any]) -> str:
    """Not as one object: a field of both stands there twice."""
    parts = [json.dumps(each)[1:-1] for each in (fields, more)]
    return "{" + ",".join(part for part in parts if part) + "}"


BODIES: Final = st.one_of(
    st.builds(members, VALID, FIELDS).map(str.encode),
    st.builds(members, VALID, st.just({})).map(str.encode),
    VALUES.map(json.dumps).map(str.encode),
    st.builds(members, VALID, FIELDS).map(lambda text: text.encode()[:-1]),
    st.binary(max_size=20),
)


class Both:
    """Two gateways with the same keys: one is asked the quick way, the other the usual one."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.quick, self.usual = self.runner.run(self._start())
        self.key = self.quick.key()

    async def _start(self) -> tuple[Rig, Rig]:
        quick = Rig()
        usual = Rig(keyring=quick.keyring)
        for rig in (quick, usual):
            await rig.server.start("127.0.0.1", 0)
        return quick, usual

    def close(self) -> None:
        for rig in (self.quick, self.usual):
            self.runner.run(rig.server.close())
        self.runner.close()

    def ask(self, body: bytes) -> list[tuple[Any, ...]]:
        """Status, type, told headers, body and records of each way."""
        return [
            self.runner.run(self._ask(self.quick, "/v1/notifications", body)),
            self.runner.run(self._ask(self.usual, "/v1/notifications?", body)),
        ]

    async def _ask(self, rig: Rig, path: str, body: bytes) -> tuple[Any, ...]:
        rig.producer.puts.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
        head = f"POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {self.key}\r\nIdempotency-Key: k\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        said = json.loads(await reader.readexactly(int(headers["content-length"])))
        writer.close()
        assert rig.server.bodies.held_bytes == 0
        said.pop("instance", None)
        told = {name: headers.get(name) for name in ("content-type", "location", "connection", "content-length")}
        return lines[0], told, said, list(rig.producer.puts)


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    found = Both()
    yield found
    found.close()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(BODIES)
def test_the_quick_way_answers_and_writes_as_the_usual_one(both: Both, body: bytes) -> None:
    quick, usual = both.ask(body)
    assert quick == usual


def test_each_request_went_the_way_that_it_was_meant_for(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    plain = Quick.__call__

    def call(self: Quick, *asked: Any) -> bool:
        taken.append(plain(self, *asked))
        return taken[-1]

    monkeypatch.setattr(Quick, "__call__", call)
    both.ask(b'{"id":"x","user":"u","title":"t"}')
    assert taken == [True, False]
