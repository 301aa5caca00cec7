from __future__ import annotations

import pytest

from pushcast.stream.callbacks import guarded


def test_a_step_that_raises_is_fatal_and_one_that_does_not_is_just_run() -> None:
    told: list[tuple[str, BaseException]] = []
    run = guarded("a step failed", lambda what, error: told.append((what, error)))
    done: list[int] = []
    run(lambda: done.append(1))
    assert (done, told) == ([1], [])
    wrong = RuntimeError("wrong")

    def fail() -> None:
        raise wrong

    run(fail)
    assert told == [("a step failed", wrong)]


def test_what_is_no_exception_goes_through() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded("a step failed", lambda what, error: None)(interrupt)
