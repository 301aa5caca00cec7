"""JSON that is nested too deep for Python: whoever follows a topic passes it by, and whoever reads a file names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pushcast.audit.places import refused_in
from pushcast.gateway.keyring import ApiKeyring, read_first_keys
from pushcast.handover.standing import UnreadableMetadata
from pushcast.handover.standing import decode as standing_of
from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.model.notification import Content
from pushcast.settle.manifest import Manifest
from pushcast.wire.control import actions, gateways, quota_leases, reporters, where
from pushcast.wire.control.cancel_state import CancelRecord, CancelState
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.json_errors import written
from pushcast.wire.sealing import key_seals, keyring_holders
from pushcast.wire.sealing.keyring import decode_keyring
from pushcast.wire.sending.batch_reader import read_batch
from pushcast.wire.sending.batches import decode_batch, encode_batch
from pushcast.wire.waiting.clock_rows import tzdata_of
from pushcast.wire.waiting.facts import decode_facts
from unit.send.twin import message, send_batch

T0 = 1_800_000_000_000
DEEP = b'{"a":' * 3_000 + b"1" + b"}" * 3_000
#: Of fields that a reader knows, and of others that it passes by.
FORMS = [DEEP, b'{"where":' + DEEP + b"}", b'{"url":' + DEEP + b"}", b'{"at":1,"url":"http://a","more":' + DEEP + b"}"]
KEYS = [b"pause/news/fcm/*", b"breaker/news/fcm", b"canary/news/fcm", b"stop/b", b"hold/b", b"step/b", b"cancel/c"]
KEYS += [b"pace/c", b"segment/s", b"reached/news/example.org", b"webhook/w", b"sweep/2026-12-01"]


@pytest.mark.parametrize("value", FORMS)
@pytest.mark.parametrize("key", KEYS)
def test_a_control_record_that_is_nested_too_deep_changes_nothing(key: bytes, value: bytes) -> None:
    state = ControlState()
    assert state.apply(key, value) is None
    assert state.ignored.total() == 1


@pytest.mark.parametrize("value", FORMS)
def test_every_other_topic_that_is_followed_is_followed_past_it(value: bytes) -> None:
    reports, peers = reporters.Reporters(), gateways.GatewayPeers(lambda: 0.0, lambda: T0)
    deeds, keys, cancels = actions.Actions(), ApiKeyring(), CancelState()
    reports.apply(reporters.key_of(1), value)
    reports.apply(reporters.key_of(1, standby=True), value)
    peers.apply(gateways.key_of("a"), value)
    deeds.apply(None, value)
    keys.apply(b"k" * 12, value)
    cancels.apply(0, [CancelRecord(b"user-1", value, T0)], T0)
    assert (reports.ignored, peers.ignored, deeds.ignored) == (2, 1, 1)
    assert keys.ignored.total() == cancels.ignored.total() == 1
    assert keyring_holders.live([(keyring_holders.key_of("a"), value)], T0) == []
    assert key_seals.told([(key_seals.PREFIX + b"a", value)]) == {}


READS: dict[str, Callable[[bytes], object]] = {
    "where a process is": where.decode,
    "shares that a gateway asks for": quota_leases.decode_ask,
    "facts of a campaign": decode_facts,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_it_is_refused_as_anything_else_that_cannot_be_read(read: Callable[[bytes], object]) -> None:
    with pytest.raises(InvalidInput):
        read(DEEP)


def test_files_that_are_nested_too_deep_are_named(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    for value in (DEEP, b'{"version":1,"done":{},"ends":{},"more":"\xff"}'[:-1], b'{"\xff":1}'):
        file.write_bytes(value)
        with pytest.raises(ConfigurationError, match=r"file\.json"):
            Manifest(file)
        with pytest.raises(ConfigurationError, match=r"file\.json"):
            read_first_keys(file)
        with pytest.raises(ConfigurationError, match="keyring"):
            decode_keyring(value)


def test_metadata_of_a_commit_and_rows_of_a_clock_that_are_nested_too_deep_are_not_ours() -> None:
    with pytest.raises(UnreadableMetadata):
        standing_of(DEEP.decode())
    assert refused_in("[" * 4_000) == refused_in("")
    assert tzdata_of(DEEP) is None


@pytest.mark.parametrize("read", [decode_batch, read_batch])
def test_a_send_batch_whose_data_are_nested_too_deep_is_undecodable(read: Callable[[bytes], object]) -> None:
    right = encode_batch(send_batch(replace(message(1), content=Content("t", "b", {"list": ["S" * 4_000]}))))
    read(right)
    wrong = right.replace(b'"' + b"S" * 4_000 + b'"', b"[" * 2_001 + b"]" * 2_001)
    assert wrong != right
    with pytest.raises(InvalidInput) as refused:
        read(wrong)
    assert refused.value.reason == "undecodable"


def test_an_object_that_can_be_read_and_not_written_is_refused() -> None:
    event: dict[str, object] = {}
    for _ in range(300):
        event = {"a": event}
    with pytest.raises(InvalidInput, match="nested more than 64 deep"):
        written(event)
