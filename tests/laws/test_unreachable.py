"""No host is given up unless the record shows: it refused five notifications over a day, while others answered."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.providers.webpush.unreachable import LEAST_NOTIFICATIONS, LEAST_SECONDS, WITNESS_SECONDS, UnreachableHosts

HOSTS = ("a", "b", "c")


class Step(NamedTuple):
    what: str
    host: str
    notification: int
    after_seconds: float


steps = st.builds(
    Step,
    st.sampled_from(["refused", "failed", "refused and failed", "refused and failed", "answered"]),
    st.sampled_from(HOSTS),
    st.integers(0, 7),
    st.sampled_from([0.0, 1.0, WITNESS_SECONDS, WITNESS_SECONDS + 1, LEAST_SECONDS / 5, LEAST_SECONDS]),
)


@settings(max_examples=600, deadline=None)
@given(st.lists(steps, max_size=60))
def test_a_host_is_given_up_only_on_what_the_record_shows(program: list[Step]) -> None:
    hosts, now = UnreachableHosts(), 0.0
    last: dict[str, tuple[float, bool]] = {}  # host -> when it was heard of, whether it failed
    counted: dict[str, list[tuple[float, int]]] = {host: [] for host in HOSTS}
    for step in program:
        now += step.after_seconds
        if step.what == "answered":
            hosts.answered(step.host, now)
            last[step.host] = (now, False)
            counted[step.host] = []
        if "refused" in step.what:
            hosts.refused(step.host, now)
            last[step.host] = (now, True)
        if "failed" in step.what:
            given_up = hosts.failed(step.host, str(step.notification), now)
            lately = {host: fails for host, (at, fails) in last.items() if now - at <= WITNESS_SECONDS}
            others = [fails for host, fails in lately.items() if host != step.host]
            if lately.get(step.host) and not all(others):
                counted[step.host].append((now, step.notification))
                mine = counted[step.host]
                enough = len({number for _, number in mine}) >= LEAST_NOTIFICATIONS
                expected = enough and now - mine[0][0] >= LEAST_SECONDS and sum(others) * 2 < len(others)
                assert given_up is expected
            else:
                assert not given_up
