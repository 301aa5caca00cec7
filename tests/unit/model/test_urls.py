from __future__ import annotations

import pytest

from pushcast.model.urls import http_url


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("gate-1.internal", "http://gate-1.internal:80"),
        ("fd00::1", "http://[fd00::1]:80"),
    ],
)
def test_an_address_of_ipv6_stands_in_brackets(host: str, url: str) -> None:
    assert http_url(host, 80) == url
