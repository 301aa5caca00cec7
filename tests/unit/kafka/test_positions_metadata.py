"""Commit metadata as confluent-kafka hands it over: with bytes behind it that belong to nobody."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pushcast.audit.places import refused_in
from pushcast.handover.standing import Standing, encode
from pushcast.kafka.positions import _metadata

TOLD = encode(Standing(refused={"push.receipt.v1": 7}))


class Commit:
    """What the client makes of the bytes of a commit."""

    def __init__(self, raw: bytes | None) -> None:
        self._raw = raw

    @property
    def metadata(self) -> str | None:
        return None if self._raw is None else self._raw.decode()


@pytest.mark.parametrize("behind", [b"", b"\xd1 garbage", b"\x01}", b"\xff\xfe"])
def test_what_was_committed_is_read_whatever_the_client_read_behind_it(behind: bytes) -> None:
    text = _metadata(cast(Any, Commit(TOLD.encode() + behind)))
    assert refused_in(text) == {"push.receipt.v1": 7}


def test_a_commit_without_metadata_has_none() -> None:
    assert _metadata(cast(Any, Commit(None))) == ""
