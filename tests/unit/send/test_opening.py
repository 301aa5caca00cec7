"""Sealed addresses in SEND: opened for the provider and for nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pushcast.model.batch import KINDS, Message
from pushcast.providers.port import Disposition
from pushcast.wire import topics
from pushcast.wire.sealing.seals import Place, TokenKeys
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.parked import Why, parked_of
from pushcast.wire.sending.retries import DEFAULT_RUNGS, Ladder
from unit.send.twin import Harness, TwinProvider, failed, message, ok, send_batch

OLD, NEW = bytes(32), bytes([1]) * 32
KEYS = TokenKeys({"t1": OLD, "t2": NEW}, "t2")
LADDER = Ladder(DEFAULT_RUNGS)


def sealed(plain: Message, keys: TokenKeys = KEYS, moved: dict[str, str] | None = None) -> Message:
    """As REGISTER sealed the addresses of its targets; `moved`: for another place than theirs."""
    targets = plain.targets
    key_ids, addresses = [], []
    for index, address in enumerate(targets.address):
        names = (plain.app, "apns", KINDS[targets.kind[index]], targets.user[index], targets.device[index])
        key_id, box = keys.seal(address, Place(*names)._replace(**(moved or {})), bytes([index]) * 12)
        key_ids.append(key_id)
        addresses.append(box)
    return replace(plain, targets=replace(targets, key_id=key_ids, address=addresses))


class Watching(TwinProvider):
    """Remembers the addresses that it was handed."""

    async def send(self, message: Message, indices: Any, on_results: Any, *more: Any) -> None:
        self.addresses = [message.targets.address[index] for index in indices]
        await super().send(message, indices, on_results, *more)


async def test_a_provider_gets_the_tokens_and_the_receipts_say_what_came_of_them() -> None:
    provider = Watching(accept=True)
    harness = Harness(provider, keys=KEYS)
    await harness.feed(send_batch(sealed(message(3))))
    assert provider.addresses == [b"token-0", b"token-1", b"token-2"]
    assert set(harness.outbox.outcomes().values()) == {("accepted", None)}


async def test_plain_and_sealed_targets_share_a_message() -> None:
    provider, mixed = Watching(accept=True), sealed(message(2))
    mixed.targets.key_id[0], mixed.targets.address[0] = "", b"token-0"
    await Harness(provider, keys=KEYS).feed(send_batch(mixed))
    assert provider.addresses == [b"token-0", b"token-1"]


async def test_what_waits_for_another_round_stays_sealed() -> None:
    provider = Watching(script={"u0": [failed(Disposition.RETRY, "provider_unavailable", status=503)]})
    harness = Harness(provider, keys=KEYS, ladder=LADDER)
    once = sealed(message(1))
    await harness.feed(send_batch(once))
    [retry] = [entry for entry in harness.outbox.log if entry.topic.startswith("push.retry")]
    [again] = decode_batch(retry.value or b"").messages
    assert (again.targets.key_id, again.targets.address) == (once.targets.key_id, once.targets.address)
    assert not [entry for entry in harness.outbox.log if b"token-0" in (entry.value or b"")]


async def test_fact_46_a_key_that_is_not_there_parks_the_push_and_says_nothing_of_the_device() -> None:
    """Acceptance fact 46: parked `key_unknown`, no device removed; with the key it is delivered."""
    provider = Watching(accept=True)
    harness = Harness(provider, keys=TokenKeys({"t1": OLD}, None))
    under_old = sealed(message(1, first_user=5), TokenKeys({"t1": OLD}, "t1"))
    await harness.feed(send_batch(sealed(message(2)), under_old))
    assert harness.outbox.parked() == ["u0", "u1"]
    [parked] = harness.outbox.of(topics.PARKED)
    assert parked_of(parked.headers).why is Why.KEY_UNKNOWN
    assert harness.outbox.outcomes() == {"u5": ("accepted", None)}
    assert harness.outbox.invalid_tokens() == []
    assert harness.committable() == 101
    harness.keys = KEYS
    await harness.feed(parked.value)
    assert harness.outbox.outcomes() == dict.fromkeys(("u0", "u1", "u5"), ("accepted", None))


async def test_without_a_keyring_every_sealed_push_waits() -> None:
    harness = Harness(Watching(accept=True))
    await harness.feed(send_batch(sealed(message(1))))
    assert harness.outbox.parked() == ["u0"]


@pytest.mark.parametrize("moved", [{"device": "other"}, {"user": "other"}, {"app": "chat"}, {"platform": "fcm"}])
async def test_a_seal_that_was_moved_ends_its_delivery_and_keeps_the_device(moved: dict[str, str]) -> None:
    provider = Watching(accept=True)
    harness = Harness(provider, keys=KEYS)
    await harness.feed(send_batch(sealed(message(1), moved=moved), sealed(message(1, first_user=1))))
    assert harness.outbox.outcomes() == {"u0": ("rejected", "seal_broken"), "u1": ("accepted", None)}
    assert harness.outbox.invalid_tokens() == []
    assert provider.seen == ["u1"]


async def test_a_try_in_the_same_process_opens_again() -> None:
    provider = Watching(script={"u0": [failed(Disposition.UNSENT, "connection_failed"), ok(0)]})
    harness = Harness(provider, keys=KEYS, attempts=2)
    await harness.feed(send_batch(sealed(message(1))))
    harness.fire()
    await harness.settle()
    assert harness.outbox.outcomes() == {"u0": ("accepted", None)}
    assert provider.addresses == [b"token-0"]
