"""A broker that remembers our fetches reads exactly what each of them wants: KIP-227."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.transport.fetch_session import SESSION_ID_NOT_FOUND, Ask, FetchSession, Topics

INVALID_EPOCH = 71
Read = dict[tuple[str, int], tuple[int, int]]


class Broker:
    """As Apache Kafka's `FetchManager`: of a session it knows the partitions, and the epoch that comes next."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.sessions: dict[int, tuple[int, Read]] = {}
        self.last_id = 0

    def fetch(self, ask: Ask) -> tuple[int, int, Read]:
        """Error code, session id, and what was read."""
        named = {(topic, number): (offset, size) for topic, parts in ask.topics for number, offset, size in parts}
        if ask.epoch == 0:
            self.sessions.pop(ask.session_id, None)
            if len(self.sessions) >= self.slots:
                return 0, 0, named
            self.last_id += 1
            self.sessions[self.last_id] = 1, named
            return 0, self.last_id, named
        if ask.session_id not in self.sessions:
            return SESSION_ID_NOT_FOUND, 0, {}
        epoch, known = self.sessions[ask.session_id]
        if epoch != ask.epoch:
            return INVALID_EPOCH, 0, {}
        known |= named
        for topic, numbers in ask.forgotten:
            for number in numbers:
                del known[topic, number]
        self.sessions[ask.session_id] = epoch + 1, known
        return 0, ask.session_id, dict(known)


def wanted(topics: Topics) -> Read:
    return {(topic, number): (offset, size) for topic, parts in topics for number, offset, size in parts}


asked = st.dictionaries(
    st.sampled_from("ab"),
    st.dictionaries(st.integers(0, 3), st.tuples(st.integers(0, 2), st.sampled_from([1, 2])), max_size=4),
).map(lambda found: [(topic, [(number, *said) for number, said in parts.items()]) for topic, parts in found.items()])
happens = st.sampled_from(["answered"] * 6 + ["lost before", "lost after", "evicted"])


@settings(max_examples=300)
@given(st.lists(st.tuples(asked, happens), max_size=20), st.integers(0, 2))
def test_a_request_that_is_taken_reads_what_is_wanted_whatever_was_lost_before(
    rounds: Sequence[tuple[Topics, str]], slots: int
) -> None:
    broker, session = Broker(slots), FetchSession()
    refused = 0
    for topics, what in rounds:
        if what == "evicted":
            broker.sessions.clear()
        ask = session.ask(topics)
        if what == "lost before":
            session.lost()
            continue
        error, session_id, read = broker.fetch(ask)
        if what == "lost after":
            session.lost()
            continue
        session.answered(error, session_id)
        if error:
            refused += 1
            assert ask.epoch, "a request that names everything is not refused"
        else:
            assert read == wanted(topics)
    assert refused <= sum(what == "evicted" for _, what in rounds)
    unheard = sum(what == "lost after" for _, what in rounds)
    assert len(broker.sessions) <= 1 + unheard, "a session is left behind only when nobody heard of it"


def test_a_request_names_what_has_changed_and_what_is_no_longer_wanted() -> None:
    session = FetchSession()
    session.ask([("a", [(0, 5, 9), (1, 6, 9)]), ("b", [(0, 7, 9)])])
    session.answered(0, 77)
    assert session.ask([("a", [(0, 5, 9), (1, 8, 9), (2, 0, 9)])]) == Ask(
        77, 1, [("a", [(1, 8, 9), (2, 0, 9)])], [("b", [0])]
    )
    session.answered(0, 77)
    assert session.ask([("a", [(0, 5, 9), (1, 8, 9), (2, 0, 9)])]) == Ask(77, 2, [], [])


def test_a_broker_without_room_is_told_everything_each_time() -> None:
    session, topics = FetchSession(), [("a", [(0, 5, 9)])]
    for _ in range(3):
        assert session.ask(topics) == Ask(0, 0, topics, ())
        session.answered(0, 0)


def test_another_session_than_ours_is_none_of_ours() -> None:
    session, topics = FetchSession(), [("a", [(0, 5, 9)])]
    session.ask(topics)
    session.answered(0, 77)
    session.ask(topics)
    session.answered(0, 78)
    assert session.ask(topics) == Ask(0, 0, topics, ())
