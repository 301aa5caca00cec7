"""The measurement of a large campaign's page still measures: with a few deliveries, and without a word on time."""

from __future__ import annotations

from browser.million import measure


async def test_the_page_of_a_campaign_is_measured_from_first_byte_to_painted() -> None:
    found = await measure(400)
    assert found["deliveries"] == 400
    assert 0 <= found["first_byte_to_painted_ms"] <= found["asked_to_painted_ms"]
