from __future__ import annotations

import pytest

from pushcast.audit.intakes import DEAD
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.answers.dead_letters import PlainRecord, dead_letter, refused_offset
from pushcast.wire.headers import Headers, first

INTAKE = topics.notification(Lane.BULK)
WRONG = InvalidInput("not_json", "it is not", "value")


def refused(offset: int, headers: Headers = ()) -> Headers:
    letter = dead_letter(PlainRecord(INTAKE, 3, offset, 5, b"u", b"v", headers), WRONG, stage="plan")
    assert letter.topic in DEAD
    return letter.headers


def test_a_letter_that_was_copied_back_with_its_headers_and_refused_again_says_its_new_offset() -> None:
    once = refused(7)
    again = refused(40, once)
    assert (refused_offset(once), refused_offset(again)) == (7, 40)
    assert list(again)[: len(once)] == list(once), "what is there is kept"
    assert first(again, "__streams.errors.offset") == b"7"


@pytest.mark.parametrize("said", [None, b"", b"x", b"-1", b"1_0", b"9" * 5_000])
def test_an_offset_that_is_no_number_is_none(said: bytes | None) -> None:
    assert refused_offset([("__streams.errors.offset", said)]) is None
    assert refused_offset([]) is None
