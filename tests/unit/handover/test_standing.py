from __future__ import annotations

import pytest

from pushcast.handover.standing import Standing, UnreadableMetadata, decode, encode
from pushcast.stream.batch import METADATA_MAX_BYTES


def test_what_is_encoded_is_decoded() -> None:
    standing = Standing(7, 6, {"push.planned.v1": 12}, {"plan-urgent/3": 5}, {"push.receipt.v1": 101})
    assert decode(encode(standing)) == standing


def test_empty_metadata_is_a_partition_that_was_never_claimed() -> None:
    assert decode("") == Standing()


@pytest.mark.parametrize("text", ["{}", "node-1", '{"v":2}', '{"v":1,"e":"x"}', '{"v":1,"new":1}'])
def test_foreign_metadata_is_refused(text: str) -> None:
    with pytest.raises(UnreadableMetadata):
        decode(text)


def test_metadata_that_kafka_would_refuse_is_not_written() -> None:
    with pytest.raises(ValueError, match=str(METADATA_MAX_BYTES)):
        encode(Standing(positions={f"push.send.{number}": 1 for number in range(400)}))


def test_the_widest_stage_stays_far_below_the_limit() -> None:
    positions = {f"push.send.webpush.urgent.v{number}": 2**62 for number in range(12)}
    origins = {f"plan-urgent/{number}": 2**33 for number in range(20)}
    assert len(encode(Standing(2**33, 2**33, positions, origins))) < METADATA_MAX_BYTES // 2
