"""`pushcast audit`: what it says of a delivery that has not ended."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.cli.audit import _place

SEND = "push.send.apns.normal.v1"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"where": "lost", "topic": None}, "lost"),
        ({"where": "lag", "topic": SEND, "members": 1, "refused": []}, f"lag in {SEND}"),
        ({"where": "lag", "topic": SEND, "members": 0, "refused": []}, f"lag in {SEND}, no member"),
        (
            {"where": "lag", "topic": SEND, "members": 1, "refused": ["push.receipt.v1"]},
            f"lag in {SEND}; Kafka refused its sender push.receipt.v1",
        ),
    ],
)
def test_a_delivery_is_named_with_its_place_and_whether_it_may_have_been_sent(row: dict[str, Any], said: str) -> None:
    assert _place(row) == said
