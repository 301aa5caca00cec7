from __future__ import annotations

import pytest

from pushcast.model.plural import counted


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (1, "app", "1 app"),
        (2, "class", "2 classes"),
        (0, "delivery", "0 deliveries"),
        (1, "copy", "1 copy"),
        (0, "key", "0 keys"),
        (1204, "record", "1,204 records"),
    ],
)
def test_what_is_counted_is_in_its_number(count: int, noun: str, said: str) -> None:
    assert counted(count, noun) == said
