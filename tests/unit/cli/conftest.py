"""Commands that need Kafka find one: what they do with it is replaced, test by test."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker takes connections wherever the configuration says, and has the partitions that it says."""
    monkeypatch.setattr("pushcast.cli.session.require_broker", lambda _: None)
    monkeypatch.setattr("pushcast.cli.session.check_cluster", lambda _: None)
