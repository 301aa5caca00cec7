"""How long `topology apply` waits for brokers that make many logs."""

from __future__ import annotations

from pushcast.kafka.topics.cluster import ProgressWatch

TIMEOUT_SECONDS = 60.0


def test_brokers_that_get_on_are_waited_for_however_long_they_take() -> None:
    watch = ProgressWatch(TIMEOUT_SECONDS, 0.0)
    assert not any(watch.is_over(100 - step, step * 59.0) for step in range(100))


def test_brokers_that_do_not_get_on_are_given_up_after_the_timeout() -> None:
    watch = ProgressWatch(TIMEOUT_SECONDS, 0.0)
    assert not watch.is_over(100, 50.0)
    assert not watch.is_over(100, 109.0)
    assert watch.is_over(100, 110.0)


def test_topics_that_come_and_go_are_no_progress() -> None:
    """A cluster that loses what it had made would be waited for for ever."""
    watch = ProgressWatch(TIMEOUT_SECONDS, 0.0)
    assert not watch.is_over(3, 0.0)
    assert [watch.is_over(missing, at) for at, missing in ((20.0, 5), (40.0, 3), (60.0, 4))] == [False, False, True]
