"""The law of mirrored topics, over the real REGISTER and OWN, in the worlds of `test_own.py`: at rest the last word on
a token that counts says what its owner follows, by his row, and nothing when nobody has it.

Kills, late events, evictions that come twice, and former owners whose words land late change nothing. Without the fence
between owners a former one has the last word. Without the gate between claims and rows a registrar that is killed when
the removal of a row is written, and the end of its claim is not, leaves the word on that token as it was: the row's
address is gone by then.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laws.test_own import HOMES, SWEEP_RULES, TOKENS, USERS, World
from pushcast.handover.fences import Fences, author_of
from pushcast.model.ids import is_user_row, partition_of
from pushcast.own.token_marks import TokenMarks
from pushcast.register.gate import RowGate
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.devices.ownership import decode_topics
from pushcast.wire.topics import DEVICE_CHANGED, TOKEN_EVICT, TOKEN_OWNER, TOKEN_TOPICS
from unit.register.twin import PARTITIONS, T0, Harness, TwinKafka, record

MOST_WORLDS_TO_A_VIOLATION = 400


class MirroredWorld(World):
    """Every registration follows a topic of its own, so that each word tells whose it is."""

    async def come_to_rest(self) -> None:
        """What former owners of claims wrote lands once all else is at rest, and then what that brings about."""
        owners = [kafka for kafka in self.former if kafka.table == TOKEN_OWNER]
        self.former = [kafka for kafka in self.former if kafka.table != TOKEN_OWNER]
        await super().come_to_rest()
        self.former += owners
        await super().come_to_rest()

    async def start_registrar(self) -> None:
        kafka = TwinKafka(acks=False, log=self.log, now_ms=self.clock.now_ms)
        mirrored = frozenset({"news"})
        self.registrar = Harness(kafka, clock=self.clock, rules=SWEEP_RULES, mirrored=mirrored)
        await self._take_over(self.registrar, USERS, (DEVICE_CHANGED, TOKEN_EVICT))

    def produce(self) -> None:
        user, at, token = self.to_come.pop(0)
        body: dict[str, Any] = {"op": "register" if token else "unregister", "app": "news", "device": "d"}
        body["at"] = T0 - 100 + at
        if token:
            body |= {"platform": "fcm", "token": TOKENS[token], "topics": [f"{user}-{at}"]}
        home = partition_of(user.encode(), PARTITIONS)
        self.registrar.kafka.append(record(DEVICE_CHANGED, home, 0, user.encode(), orjson.dumps(body)))

    def told(self) -> dict[bytes, tuple[str, ...]]:
        """As MIRROR hears it: by address, the last word that counts."""
        found: dict[bytes, tuple[str, ...]] = {}
        for home in HOMES:
            fences = Fences()
            for offset, each in enumerate(self.log[TOKEN_TOPICS, home]):
                if fences.admit(author_of(each.headers), offset):
                    word = decode_topics(each.key, each.value)
                    found[word.holder.address] = word.holder.topics
        return {address: topics for address, topics in found.items() if topics}

    def followed(self) -> dict[bytes, tuple[str, ...]]:
        """By the rows of the devices."""
        rows = [
            decode_row(value)
            for partition in USERS
            for key, value in self.registrar.kafka.compacted(partition).items()
            if not is_user_row(key)
        ]
        return {row.address: row.topics for row in rows if not row.is_gone}


def violation(seed: int) -> str | None:
    async def finished() -> str | None:
        world = MirroredWorld(seed)
        await world.run()
        told, followed = world.told(), world.followed()
        return None if told == followed else f"{told} and not {followed} after {world.events}"

    return asyncio.run(finished())


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_the_last_word_on_a_token_is_what_its_owner_follows(seed: int) -> None:
    assert violation(seed) is None


def test_without_the_gate_a_killed_registrar_leaves_the_topics_of_a_device_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RowGate, "after", lambda self, barrier, step: step())
    assert any(violation(seed) for seed in range(MOST_WORLDS_TO_A_VIOLATION))


def test_without_the_fence_a_former_owner_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unfenced(self: TokenMarks, claims: Any) -> None:
        return

    monkeypatch.setattr(TokenMarks, "fence", unfenced)
    assert any(violation(seed) for seed in range(MOST_WORLDS_TO_A_VIOLATION))
