"""What keeps other sites out."""

from __future__ import annotations

import pytest

from pushcast.console.guard import CONTENT_SECURITY_POLICY, same_origin


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, True),
        ({"sec-fetch-site": "same-site", "origin": "https://a.example", "host": "a.example"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://console.example:8081", "host": "console.example:8081"}, True),
        ({"origin": "https://evil.example", "host": "console.example"}, False),
        ({"origin": "null", "host": "console.example"}, False),
        ({"origin": "null", "host": ""}, False),
        ({"origin": "https://[console.example", "host": "[console.example"}, False),
        ({}, False),
    ],
)
def test_a_form_must_come_from_a_page_of_the_same_console(headers: dict[str, str], ours: bool) -> None:
    assert same_origin(headers) is ours


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
