"""Marks of tokens that nobody had claimed before: most of all marks, so what is known of them is only written on."""

from __future__ import annotations

import msgspec

from pushcast.model.ownership import Mark
from pushcast.own.decide import decide
from pushcast.wire.devices.claim_reader import ReadClaim
from pushcast.wire.devices.ownership import encode_first_mark, encode_mark


class FreshMark(msgspec.Struct, frozen=True, gc=False):
    """What the first claim of a token makes of its mark: the decision, put off until somebody asks for it."""

    claim: ReadClaim
    recorded_at: int  # Kafka time of the claim, milliseconds

    def mark(self) -> Mark:
        """As `decide` has it."""
        made = decide(None, self.claim.claim(), self.recorded_at).mark
        assert made is not None  # a first claim leaves a mark
        return made


KnownMark = Mark | FreshMark


def whole(mark: KnownMark) -> Mark:
    """The mark, decided."""
    return mark.mark() if isinstance(mark, FreshMark) else mark


def encoded(mark: KnownMark) -> bytes:
    """The value of its row."""
    if isinstance(mark, FreshMark):
        return encode_first_mark(mark.claim.columns, mark.recorded_at)
    return encode_mark(mark)
