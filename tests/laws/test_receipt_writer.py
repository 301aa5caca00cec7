"""The fast writer and the schema's encoder must never differ by a byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.batch import NO_LABEL, ReceiptLabel
from pushcast.model.words import Source
from pushcast.wire.answers.receipt_writer import ReceiptWriter
from pushcast.wire.answers.receipts import Receipt, encode_receipt

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
            st.just(NO_LABEL)
            | st.builds(ReceiptLabel, st.none() | ANY_LONG, *[st.none() | TEXT] * 3)
            | TEXT.map(lambda text: ReceiptLabel(replay_of=text)),
            st.none() | TEXT,
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([1, 2]),
    st.sampled_from(list(Source)),
)
def test_the_fast_writer_writes_the_bytes_of_the_schema_encoder(
    dry_run: bool, run: int, partition: int, rows: list[tuple], generation: int, source: int
) -> None:
    writer = ReceiptWriter(
        app="news",
        klass="é",
        platform="fcm",
        lane="bulk",
        dry_run=dry_run,
        run=run,
        source_partition=partition,
        source=source,
        generation=generation,
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
        label,
        version,
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
            label,
            version,
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
                source=source,
                due_at=label.due_at,
                campaign=label.campaign,
                variant=label.variant,
                replay_of=label.replay_of,
                app_version=version,
            ),
            generation,
        )


def test_caches_stay_bounded_and_right_with_more_words_than_they_hold() -> None:
    writer = ReceiptWriter(app="a", klass="c", platform="apns", lane="urgent", dry_run=False, run=0, source_partition=0)

    def both(number: int) -> tuple[bytes, bytes]:
        fast = writer.encode(
            *(b"00" * 16, b"n", b"u", b"d", "dead", f"r{number}", None, number, 1, 2, number, number + 7),
            label=ReceiptLabel(campaign=f"c{number}"),
        )
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
            campaign=f"c{number}",
        )
        return fast, encode_receipt(slow)

    for number in [*range(3000), *range(3000)]:
        fast, slow = both(number)
        assert fast == slow
    for cache in (writer._verdicts, writer._middles, writer._times, writer._labels):
        assert len(cache) <= 1024
