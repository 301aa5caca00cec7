"""The fast writer and the schema's encoder must never differ by a byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushcast.wire.receipt_writer import ReceiptWriter
from pushcast.wire.receipts import Receipt, encode_receipt

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300) | st.sampled_from(["x" * 8191, "x" * 8192])
LONG = st.integers(0, 2**53) | st.integers(0, 20_000) | st.integers(1_700_000_000_000, 1_900_000_000_000)
ANY_LONG = LONG | st.integers(-(2**40), -1)


@given(
    st.booleans(),
    st.integers(0, 100_000),
    st.integers(0, 1023),
    st.lists(
        st.tuples(
            st.binary(min_size=16, max_size=16),
            TEXT,
            TEXT,
            TEXT,
            st.sampled_from(["accepted", "dead", "rejected"]),
            st.none() | TEXT,
            st.none() | TEXT,
            st.none() | st.integers(-(2**31), 2**31 - 1),
            st.integers(0, 2**31 - 1),
            LONG,
            ANY_LONG,
            ANY_LONG,
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_the_fast_writer_writes_the_bytes_of_the_schema_encoder(
    dry_run: bool, run: int, partition: int, rows: list[tuple]
) -> None:
    writer = ReceiptWriter(
        app="news", klass="é", platform="fcm", lane="bulk", dry_run=dry_run, run=run, source_partition=partition
    )
    for (
        delivery,
        notification,
        user,
        device,
        outcome,
        reason,
        provider,
        status,
        attempts,
        offset,
        created,
        ended,
    ) in rows:
        fast = writer.encode(
            delivery.hex().encode(),
            notification.encode(),
            user.encode(),
            device.encode(),
            outcome,
            reason,
            None if provider is None else provider.encode(),
            status,
            attempts,
            offset,
            created,
            ended,
        )
        assert fast == encode_receipt(
            Receipt(
                delivery_id=delivery,
                notification_id=notification,
                user=user,
                app="news",
                device=device,
                platform="fcm",
                lane="bulk",
                klass="é",
                outcome=outcome,
                reason=reason,
                provider_id=provider,
                provider_status=status,
                attempts=attempts,
                dry_run=dry_run,
                run=run,
                source_partition=partition,
                source_offset=offset,
                created_at=created,
                ended_at=ended,
            )
        )


def test_caches_stay_bounded_and_right_with_more_words_than_they_hold() -> None:
    writer = ReceiptWriter(app="a", klass="c", platform="apns", lane="urgent", dry_run=False, run=0, source_partition=0)

    def both(number: int) -> tuple[bytes, bytes]:
        fast = writer.encode(b"00" * 16, b"n", b"u", b"d", "dead", f"r{number}", None, number, 1, 2, number, number + 7)
        slow = Receipt(
            bytes(16),
            "n",
            "u",
            "a",
            "d",
            "apns",
            "urgent",
            "c",
            "dead",
            f"r{number}",
            None,
            number,
            1,
            False,
            0,
            0,
            2,
            number,
            number + 7,
        )
        return fast, encode_receipt(slow)

    for number in [*range(3000), *range(3000)]:
        fast, slow = both(number)
        assert fast == slow
    for cache in (writer._verdicts, writer._middles, writer._times):
        assert len(cache) <= 1024
