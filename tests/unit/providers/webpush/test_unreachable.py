"""Which hosts are given up, and that nothing of our own failing gives one up."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pushcast.providers.webpush.unreachable import (
    LEAST_NOTIFICATIONS,
    LEAST_SECONDS,
    MAX_HOSTS,
    WITNESS_SECONDS,
    UnreachableHosts,
    is_definite,
)

DAY = LEAST_SECONDS
GONE, GOOD, OTHER = "gone.example", "good.example", "other.example"


def verdicts(hosts: UnreachableHosts, times: Iterator[float] | list[float], *, witness: bool = True) -> list[bool]:
    """A push to the host that is gone at each time, each of a notification of its own."""
    found = []
    for at in times:
        if witness:
            hosts.answered(GOOD, at)
        hosts.refused(GONE, at)
        found.append(hosts.failed(GONE, f"n-{at}", at))
    return found


def test_five_notifications_over_a_day_give_a_host_up() -> None:
    assert verdicts(UnreachableHosts(), [0, 1, 2, 3, 4, DAY - 1, DAY]) == [False] * 6 + [True]


def test_four_notifications_do_not() -> None:
    assert verdicts(UnreachableHosts(), [0, DAY, 2 * DAY, 3 * DAY]) == [False] * 4
    hosts = UnreachableHosts()
    for _ in range(9):
        hosts.answered(GOOD, DAY)
        hosts.refused(GONE, DAY)
        assert not hosts.failed(GONE, "the same one", DAY)


def test_an_answer_begins_it_anew() -> None:
    hosts = UnreachableHosts()
    verdicts(hosts, [0, 1, 2, 3, 4])
    hosts.answered(GONE, 5)
    assert verdicts(hosts, [DAY, DAY + 1, DAY + 2, DAY + 3, DAY + 4, DAY + 5]) == [False] * 6


def test_the_first_answer_of_a_host_that_was_given_up_is_told_once() -> None:
    """Rulings I.9: put back by the first success."""
    hosts = UnreachableHosts()
    assert not hosts.answered(GONE, 0)
    verdicts(hosts, [1, 2, 3, 4, 5])
    assert not hosts.answered(GONE, 6), "it had failed, and was not given up"
    assert verdicts(hosts, [7, 8, 9, 10, 11, DAY + 7])[-1]
    assert [hosts.answered(GONE, DAY + 8), hosts.answered(GONE, DAY + 9)] == [True, False]


def test_without_another_host_that_answers_nothing_counts() -> None:
    hosts = UnreachableHosts()
    assert verdicts(hosts, [hour * 3600.0 for hour in range(100)], witness=False) == [False] * 100


@pytest.mark.parametrize(("before", "given_up"), [(WITNESS_SECONDS, True), (WITNESS_SECONDS + 1, False)])
def test_the_other_host_answered_within_the_last_minute(before: float, given_up: bool) -> None:
    hosts = UnreachableHosts()
    verdicts(hosts, [0, 1, 2, 3, 4])
    hosts.answered(GOOD, DAY - before)
    hosts.refused(GONE, DAY)
    assert hosts.failed(GONE, "n", DAY) is given_up


def test_while_as_many_hosts_fail_as_answer_none_is_given_up() -> None:
    hosts = UnreachableHosts()
    verdicts(hosts, [0, 1, 2, 3, 4])
    hosts.refused(OTHER, DAY)
    assert verdicts(hosts, [DAY]) == [False]
    hosts.answered(OTHER, DAY + 1)
    assert verdicts(hosts, [DAY + 1]) == [True]


def test_a_failure_without_a_refusal_does_not_count() -> None:
    hosts = UnreachableHosts()
    for at in (0, 1, 2, 3, 4, DAY):
        hosts.answered(GOOD, at)
        assert not hosts.failed(GONE, f"n-{at}", at)


def test_an_hour_without_a_resolver_gives_nobody_up() -> None:
    hosts = UnreachableHosts()
    everyone = [f"h{number}.example" for number in range(20)]
    verdicts(hosts, [0, 1, 2, 3, 4])  # one of them was gone before
    for second in range(3600):
        at = DAY + second
        for host in everyone:
            hosts.refused(host, at)  # even a resolver that says of every name that it does not exist
            assert not hosts.failed(host, f"n-{second}", at)
        hosts.refused(GONE, at)
        assert not hosts.failed(GONE, f"n-{second}", at)


@pytest.mark.parametrize(
    ("error", "definite"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), True),
        (socket.gaierror(socket.EAI_NODATA, "no address"), True),
        (ConnectionRefusedError(), True),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), False),
        (socket.gaierror(socket.EAI_FAIL, "server failed"), False),
        (TimeoutError(), False),
        (ConnectionResetError(), False),
        (OSError(101, "network is unreachable"), False),
        (None, False),
    ],
)
def test_only_an_unknown_name_and_a_refusal_are_definite(error: BaseException | None, definite: bool) -> None:
    assert is_definite(error) is definite


def test_what_is_remembered_is_bounded() -> None:
    hosts = UnreachableHosts()
    for number in range(MAX_HOSTS + LEAST_NOTIFICATIONS):
        hosts.refused(f"h{number}.example", 0.0)
    assert len(hosts._hosts) == MAX_HOSTS
