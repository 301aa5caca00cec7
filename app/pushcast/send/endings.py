"""Ends of deliveries that stand for more than a receipt: a dead letter, a ticket or a token report goes with them.

A ledger believes the receipt alone: whoever takes the partition over skips a delivery that has one. So Kafka has the
companion before the receipt is put, and a process that is killed between the two leaves a delivery that its successor
ends again, companion and all, and never a receipt without its companion.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial

from pushcast.model.batch import Message
from pushcast.model.words import Lane, Platform
from pushcast.providers.port import Result
from pushcast.providers.webpush.recalls import is_recallable
from pushcast.send.aside import Aside
from pushcast.send.receipts import ParcelReceipts
from pushcast.send.records import Job, OpenRecord, Parcel
from pushcast.send.tickets import Tickets
from pushcast.stream.ports import Barrier, Outbox
from pushcast.wire import topics
from pushcast.wire.schemas import NEWEST_GENERATION
from pushcast.wire.sending.recall_offers import DOUBTFUL_PUSH, RecallOffer, encode_offer

#: Outcomes of one record that Kafka acknowledged: record, budget key, how many.
Share = tuple[OpenRecord, Hashable, int]
#: What a receipt says beside its target: outcome, reason, provider's id, HTTP status, when it ended.
Words = tuple[str, str | None, str | None, int | None, int]


#: What a device knows one target's push by (`port.Replaceable.tag_of`).
TagOf = Callable[[Message, int], str | None]


class Endings:
    """Collects during one turn of the loop; `put` writes companions, and the receipts once those are acknowledged.

    `on_acked` is told when Kafka has acknowledged the receipts of one turn. Deliveries without a companion do not come
    here: they wait for nobody.
    """

    def __init__(
        self,
        outbox: Outbox,
        platform: Platform,
        lane: Lane,
        receipts: ParcelReceipts,
        aside: Aside,
        on_acked: Callable[[list[Share]], None],
        schema_generation: int = NEWEST_GENERATION,
        tags: Mapping[str, TagOf] | None = None,
    ) -> None:
        """`tags`: of the apps whose removals replace what they take back."""
        self._outbox = outbox
        self._platform = platform
        self._tags = tags or {}
        self._receipts = receipts
        self._aside = aside
        self._tickets = (
            Tickets(outbox, platform, lane, schema_generation) if platform in topics.TICKET_PLATFORMS else None
        )
        self._generation = schema_generation
        self._on_acked = on_acked
        self._barrier: Barrier | None = None  # of the companions
        self._waiting: dict[Parcel, list[tuple[int, Words]]] = {}

    @property
    def with_tickets(self) -> bool:
        """Whether pushes of this platform are taken with a ticket."""
        return self._tickets is not None

    def ticketed(self, parcel: Parcel, target: int, words: Words, ticket_id: str, sent_at: int) -> None:
        """A push that was taken with a ticket, on a platform with tickets."""
        assert self._tickets is not None, "no platform of tickets"
        self._tickets.add(self._companions(), parcel, target, ticket_id, sent_at)
        self._waiting.setdefault(parcel, []).append((target, words))

    @staticmethod
    def offers(parcel: Parcel) -> bool:
        """Whether the keeper wants to hear of a push: its class is removable."""
        return parcel.message.removable

    def offered(self, job: Job, target: int, words: Words) -> None:
        """A removable push that was taken; with its name where its service can take it back."""
        outcome, _, provider_id, _, ended_at = words
        self._offer(self._companions(), job, target, outcome, provider_id, ended_at)
        self._waiting.setdefault(job.parcel, []).append((target, words))

    def doubted(self, barrier: Barrier, job: Job, target: int, at: int) -> None:
        """A removable push that may have arrived, whatever becomes of its next try."""
        self._offer(barrier, job, target, DOUBTFUL_PUSH, None, at)

    def _offer(self, barrier: Barrier, job: Job, target: int, outcome: str, provider_id: str | None, at: int) -> None:
        message = job.message  # its addresses are open: they say which service it is
        targets = message.targets
        can_recall = self._platform is Platform.WEBPUSH and is_recallable(targets.address[target])
        notification = targets.notification[target]
        tag_of = self._tags.get(message.app)
        offer = RecallOffer(
            targets.delivery_id[target].hex(),
            message.notification_ids[notification],
            message.app,
            targets.device[target],
            str(self._platform),
            outcome,
            provider_id if can_recall else None,
            at,
            message.options_of(notification).thread_id,
            message.created_at[notification],
            message.notes.label(notification).campaign,
            None if tag_of is None else tag_of(message, target),
        )
        partition, key = job.parcel.record.batch.partition, targets.user[target].encode()
        self._outbox.put(barrier, topics.RECALLABLE, partition, encode_offer(offer, self._generation), key)

    def dead(self, parcel: Parcel, target: int, words: Words, reason: str) -> None:
        """A delivery without an attempt left."""
        self._companions()
        self._aside.dead(parcel, target, reason)
        self._waiting.setdefault(parcel, []).append((target, words))

    def token_invalid(self, job: Job, result: Result, words: Words, reason: str, now_ms: int) -> None:
        """A token that its provider calls dead."""
        self._receipts.report_token(job, self._companions(), result, reason, now_ms)
        self._waiting.setdefault(job.parcel, []).append((result.target, words))

    def put(self) -> None:
        """Writes what was collected since the last time."""
        companions, self._barrier = self._barrier, None
        if companions is None:
            return
        waiting, self._waiting = self._waiting, {}
        self._aside.put_letters(companions)
        if self._tickets is not None:
            self._tickets.put(companions)
        companions.on_acked(partial(self._put_receipts, waiting))

    def _companions(self) -> Barrier:
        if self._barrier is None:
            self._barrier = self._outbox.barrier()
        return self._barrier

    def _put_receipts(self, waiting: dict[Parcel, list[tuple[int, Words]]]) -> None:
        barrier = self._outbox.barrier()
        for parcel, ends in waiting.items():
            write = self._receipts.writing(parcel, barrier)
            for target, words in ends:
                write(target, *words)
        shares = [(parcel.record, parcel.key, len(ends)) for parcel, ends in waiting.items()]
        barrier.on_acked(partial(self._on_acked, shares))
