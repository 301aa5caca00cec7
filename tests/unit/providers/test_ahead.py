"""A provider that is made ready before there is a push for it."""

from __future__ import annotations

import pytest

from pushcast.model.clock import ManualClock
from pushcast.providers.apns.client import ApnsProvider
from pushcast.providers.client import Setup
from pushcast.providers.credential import CredentialUnavailable
from pushcast.providers.port import Disposition, OpensAhead
from unit.providers.test_paced import SilentEngine


class Opening(SilentEngine):
    """Notes when it is asked to open a connection."""

    def __init__(self) -> None:
        self.opened = 0

    def open_ahead(self) -> None:
        self.opened += 1


class Token:
    """Has a header once it was waited for."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.header_value: bytes | None = None
        self.asked = 0
        self._failure = failure

    def current(self) -> bytes | None:
        return self.header_value

    async def header(self) -> bytes:
        self.asked += 1
        if self._failure is not None:
            raise self._failure
        self.header_value = b"bearer 1"
        return self.header_value

    async def refresh(self, refused: bytes) -> None: ...
    async def close(self) -> None: ...


def provider_of(engine: SilentEngine, token: Token) -> ApnsProvider:
    setup = Setup("news", "multicast", engine, token, 10.0, ManualClock())
    return ApnsProvider(setup, topic="t", authority=b"push.example")


async def test_it_has_a_connection_and_a_credential_then() -> None:
    engine, token = Opening(), Token()
    provider = provider_of(engine, token)
    assert isinstance(provider, OpensAhead)
    await provider.open_ahead()
    await provider.open_ahead()
    assert engine.opened == 2  # the engine knows whether it has one
    assert token.asked == 1


@pytest.mark.parametrize(
    "failure", [CredentialUnavailable("away", Disposition.UNSENT, "connection_failed"), TimeoutError()]
)
async def test_a_credential_that_cannot_be_had_is_left_to_the_first_push(failure: Exception) -> None:
    engine, token = Opening(), Token(failure)
    await provider_of(engine, token).open_ahead()
    assert (engine.opened, token.asked) == (1, 1)


async def test_an_engine_that_opens_connections_when_they_are_needed_is_left_alone() -> None:
    token = Token()
    await provider_of(SilentEngine(), token).open_ahead()
    assert token.asked == 1
