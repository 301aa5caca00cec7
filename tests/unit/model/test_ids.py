"""Identities are the same in every process and in every client of Kafka."""

from __future__ import annotations

import random

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import example, given
from hypothesis import strategies as st

from pushcast.model.ids import (
    broadcast_delivery_id,
    bucket,
    delivery_id,
    device_row_key,
    device_row_prefix,
    murmur2,
    partition_of,
    split_device_row_key,
    token_hash,
)

# org.apache.kafka.common.utils.UtilsTest.testMurmur2, there as signed 32-bit numbers
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    bytes([ord("a"), ord("b"), ord("c")]): 479470107,
}


@pytest.mark.parametrize(("key", "signed"), JAVA.items())
def test_murmur2_is_that_of_the_java_client(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed & 0xFFFFFFFF


@given(st.binary(max_size=300))
@example(b"")
def test_murmur2_is_that_of_aiokafka(key: bytes) -> None:
    assert murmur2(key) == aiokafka_murmur2(key) & 0xFFFFFFFF


def test_keys_spread_over_the_partitions() -> None:
    counts = [0] * 8
    for number in range(8000):
        counts[partition_of(f"user-{number}".encode(), 8)] += 1
    assert min(counts) > 800


def test_a_delivery_is_named_by_all_its_parts_and_by_nothing_else() -> None:
    parts = ("n", "u", "a", "d")
    ids = {delivery_id(*parts)}
    for index in range(4):
        ids.add(delivery_id(*(part + "x" if at == index else part for at, part in enumerate(parts))))
    ids.add(delivery_id("nu", "", "a", "d"))
    assert len(ids) == 6
    # Kept for ever: receipts of earlier releases carry it.
    assert delivery_id(*parts).hex() == "2a4860f0dba05ef6a19d3df69a02bdcc"


def test_a_token_hash_is_16_bytes_and_does_not_hold_the_token() -> None:
    assert token_hash(b"").hex() == "e3b0c44298fc1c149afbf4c8996fb924"
    assert len(token_hash(random.Random(1).randbytes(500))) == 16


@given(*[st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)] * 3)
def test_a_row_key_splits_again_and_begins_with_its_prefixes(user: str, app: str, device: str) -> None:
    key = device_row_key(user, app, device)
    assert split_device_row_key(key) == (user, app, device)
    assert key.startswith(device_row_prefix(user))
    assert key.startswith(device_row_prefix(user, app))


def test_a_user_whose_name_begins_like_another_has_a_prefix_of_its_own() -> None:
    assert not device_row_key("ann", "news", "d").startswith(device_row_prefix("an"))
    assert not device_row_key("ann", "newspaper", "d").startswith(device_row_prefix("ann", "news"))


def test_a_key_that_is_no_row_key_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        split_device_row_key(b"user\0app")


def test_fact_28_buckets_are_the_same_for_ever() -> None:
    assert (bucket("b-1", "u-1"), bucket("b-1", "u-2"), bucket("b-2", "u-1")) == (1432, 6983, 6650)


def test_fact_31_a_broadcast_and_a_notification_of_one_id_have_other_deliveries() -> None:
    row_key = device_row_key("u-1", "news", "d-1")
    assert broadcast_delivery_id("b-1", row_key).hex() == "ca15f4f7174df5ca73c79a334c047000"
    assert delivery_id("b-1", "u-1", "news", "d-1").hex() == "e6116814dc24a077b2f0a4b874063630"
