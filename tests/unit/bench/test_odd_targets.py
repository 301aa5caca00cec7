"""What `bench isolation` sends to odd users and to those beside them."""

from __future__ import annotations

import pytest

from pushcast.bench import odd_targets
from pushcast.bench.odd_targets import ODD, Odd
from pushcast.model.ids import delivery_id, token_hash
from pushcast.model.words import Platform
from pushcast.wire.sending.batches import decode_batch

NONE_ODD, WITHOUT_KEY, OLD = ODD


@pytest.mark.parametrize("odd", [WITHOUT_KEY, OLD], ids=lambda odd: odd.row)
def test_each_device_of_an_odd_user_has_a_token_of_its_own_and_the_ids_that_plan_would_give(odd: Odd) -> None:
    batches = [decode_batch(odd_targets._record(odd, odd_targets._odd(odd, user))) for user in range(odd.users)]
    assert {batch.platform for batch in batches} == {odd.platform}
    messages = [message for batch in batches for message in batch.messages]
    addresses = [address for message in messages for address in message.targets.address]
    assert len(set(addresses)) == odd.users * odd.devices
    for message in messages:
        targets = message.targets
        assert targets.token_hash == [token_hash(address) for address in targets.address]
        assert targets.delivery_id == [
            delivery_id(message.notification_ids[at], targets.user[n], message.app, targets.device[n])
            for n, at in enumerate(targets.notification)
        ]


def test_odd_tokens_have_the_length_of_real_ones() -> None:
    assert {len(WITHOUT_KEY.address(n)) for n in range(WITHOUT_KEY.users)} == {163}
    assert {len(OLD.address(n)) for n in range(OLD.devices)} == {64}


def test_the_row_without_odd_users_is_of_the_same_platform_as_the_first_with_them() -> None:
    assert (NONE_ODD.users, NONE_ODD.platform) == (0, WITHOUT_KEY.platform) == (0, Platform.FCM)
