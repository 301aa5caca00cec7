from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pushcast.config.providers import Apns, Proxy, Webpush

WEBPUSH: dict[str, Any] = {"vapid_key_file": Path("key.pem"), "subject": "mailto:push@example.com"}


@pytest.mark.parametrize("url", ["http://proxy.example:3128", "http://127.0.0.1", "http://[::1]:3128/"])
def test_a_proxy_is_a_host_and_perhaps_a_port(url: str) -> None:
    assert Proxy(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://proxy.example",
        "proxy.example:3128",
        "http://",
        "http://u:p@proxy.example",
        "http://x:port",
        "http://x/y",
    ],
)
def test_what_is_no_proxy_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Proxy(url=url)


@pytest.mark.parametrize("given", [{"username": "push"}, {"password_file": "password"}])
def test_user_and_password_of_a_proxy_go_together(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="go together"):
        Proxy(url="http://proxy.example", **given)


def test_an_engine_that_knows_no_proxy_refuses_one() -> None:
    with pytest.raises(ValidationError, match="aioapns takes no proxy"):
        Apns(
            topic="t",
            certificate_file=Path("c.pem"),
            engine="aioapns",
            proxy=Proxy(url="http://proxy.example"),
        )


@pytest.mark.parametrize(("given", "kept"), [({}, None), ({"encryption_processes": 0}, 0)])
def test_encryption_is_spread_over_as_many_processes_as_asked_for(given: dict[str, Any], kept: int | None) -> None:
    assert Webpush(**WEBPUSH, **given).encryption_processes == kept


@pytest.mark.parametrize("count", [-1, 65])
def test_a_number_of_processes_that_makes_no_sense_is_refused(count: int) -> None:
    with pytest.raises(ValidationError):
        Webpush(**WEBPUSH, encryption_processes=count)
