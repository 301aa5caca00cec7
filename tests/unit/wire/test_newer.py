"""A schema of a later release: waited for on a topic that only Pushcast writes, a dead letter everywhere else."""

from __future__ import annotations

import pytest

from pushcast.kafka.topics import load_topology
from pushcast.kafka.topics.words import AGENT_ROLES
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire.newer import EARLIER, INTERNAL, Looked, NewerSchema, look, newer_schema, waited_for
from pushcast.wire.schemas import NAMES, SINGLE_OBJECT_MARKER, avro_type, released, written_type

NEWER = SINGLE_OBJECT_MARKER + b"tomorrow" + b"body"
#: Its values carry no schema of ours in a frame: JSON, or keys that say it all.
NOT_FRAMED = {"any"}


def test_the_topics_are_those_that_only_stages_write() -> None:
    """A topic that is added to the topology with a schema, and that nobody outside writes, must be waited on, too."""
    only_ours = {
        topic.name
        for topic in load_topology().topics
        if topic.source is None and topic.schema not in NOT_FRAMED and set(topic.family.producers) <= set(AGENT_ROLES)
    }
    assert only_ours == INTERNAL & load_topology().by_name.keys()


@pytest.mark.parametrize("name", NAMES)
def test_every_released_schema_is_known(name: str) -> None:
    assert newer_schema(avro_type(name).frame + b"body") is None
    for fingerprint in released():
        assert newer_schema(SINGLE_OBJECT_MARKER + fingerprint) is None


@pytest.mark.parametrize(
    "value", [None, b"", b"{}", b"\xc3\x01", SINGLE_OBJECT_MARKER + b"short", b"\x00\0\0\0\1abcdef"]
)
def test_what_is_no_frame_of_a_whole_fingerprint_is_not_of_a_later_release(value: bytes | None) -> None:
    assert newer_schema(value) is None


def test_a_fingerprint_that_is_not_in_the_lock_is_named() -> None:
    assert newer_schema(NEWER) == b"tomorrow".hex()


def test_rows_name_the_first_user_that_is_not_readable_and_count_those_of_earlier_releases() -> None:
    """Rulings I.39: how many rows of the release before are still read can be seen."""
    row, before, user = avro_type("device_row").frame, written_type("device_row", 1).frame, avro_type("user_row").frame
    key = b"user-1\0news\0d"
    looked = look(
        [[(key, row), (key, before)], [(key, user), (key, b"junk")], [(key, before), (key, NEWER)], [(key, row)]]
    )
    assert looked.waits is not None
    assert (looked.earlier, looked.waits[0]) == (2, 2)
    assert b"tomorrow".hex() in str(looked.waits[1])
    assert "user-1" not in str(looked.waits[1])
    assert look([[(key, row)], []]) == Looked(0)


def test_what_this_release_writes_is_not_counted_as_earlier() -> None:
    """A batch in the plain schema is written for good, whatever `schemas.write` is."""
    assert avro_type("receipt").frame not in EARLIER
    assert written_type("send_batch", 1).frame not in EARLIER
    for name in ("receipt", "planned", "ticket_batch", "device_row"):
        assert written_type(name, 1).frame in EARLIER


def refusal_of(value: bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        avro_type("planned").decode(value)
    assert caught.value.reason == Reason.UNKNOWN_SCHEMA
    return caught.value


def test_the_frame_of_a_registry_on_a_topic_of_ours_is_a_strangers_and_is_not_waited_for() -> None:
    """Reports stood still at a record that began with a zero, until Kafka had removed it, and so did take-overs."""
    waited_for(refusal_of(b"\0\0\0\0\7" + b"whatever"), "push.planned.v1[3]@5")


def test_only_an_unknown_schema_is_waited_for() -> None:
    with pytest.raises(NewerSchema, match=r"push.planned.v1\[3\]@5: .*not in this release"):
        waited_for(refusal_of(NEWER), "push.planned.v1[3]@5")
    waited_for(InvalidInput(Reason.UNDECODABLE, "junk"), "push.planned.v1[3]@5")
