"""What of a dead letter is still to be delivered, by what the receipts say of its deliveries. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from pushcast.model.words import Outcome
from pushcast.settle.letters import Letter, in_doubt, redriven_headers
from pushcast.wire.sending.batches import encode_batch
from pushcast.wire.sending.retries import pick

Last = tuple[str, int]  # outcome and run of a delivery's last receipt
NO_RECEIPT: Last = (Outcome.DEAD, -1)


def what_is_left(
    letter: Letter, last: Mapping[bytes, Last], now_ms: int, include_in_doubt: bool, receipts_since_ms: int = 0
) -> tuple[bytes | None, int, Counter[str]]:
    """Value to write, deliveries in it, and deliveries that are left out by why. No value: nothing is left.

    `receipts_since_ms`: receipts from before it are gone, so that older letters without one are not judged.
    """
    batch = letter.batch
    if batch is None:
        return letter.raw.value, 0, Counter()
    left_out: Counter[str] = Counter()
    messages = []
    doubtful = in_doubt(letter) and not include_in_doubt
    for message in batch.messages:
        targets = message.targets
        keep = []
        for index, delivery in enumerate(targets.delivery_id):
            outcome, run = last.get(delivery, NO_RECEIPT)
            if run < 0 and letter.first_seen_at < receipts_since_ms:
                left_out["not_judgeable"] += 1
            elif outcome != Outcome.DEAD:
                left_out[outcome] += 1
            elif run > batch.run:
                left_out["later_run"] += 1  # redriven before, and in a later letter if it died again
            elif targets.expires_at[index] <= now_ms:
                left_out["past_expiry"] += 1
            elif doubtful:
                left_out["in_doubt"] += 1
            else:
                keep.append(index)
        if keep:
            messages.append(pick(message, keep))
    if not messages:
        return None, 0, left_out
    again = replace(batch, messages=messages, run=redriven_headers(letter)[1])
    return encode_batch(again), again.target_count, left_out
