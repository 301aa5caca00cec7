"""What the demo says while it waits."""

from __future__ import annotations

import pytest

from pushcast.demo.run import awaited


@pytest.mark.parametrize(
    ("writing", "left", "waiting", "said"),
    [
        (False, 0, 0, "all are through"),
        (True, 0, 0, "urgent events go on"),
        (False, 1204, 0, "1,204 records under way"),
        (False, 2, 7, "2 records under way, 7 wait for their retry"),
        (True, 1, 1, "1 record under way, 1 wait for their retry, urgent events go on"),
    ],
)
def test_what_is_waited_for_is_said_with_its_number(writing: bool, left: int, waiting: int, said: str) -> None:
    assert awaited(writing, left, waiting) == said
