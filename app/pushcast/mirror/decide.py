"""What a provider is to be told of a token, and what follows from its answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pushcast.model.ownership import TokenTopics
from pushcast.providers.fcm.subscriptions import SubscriptionChange
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict

#: A change that the provider did not take for so long is given up: the device's next refresh tells all of it anew, and
#: what stands behind it in its partition must not wait for another app's project.
GIVE_UP_MS: Final = 600_000
FIRST_PAUSE_SECONDS: Final = 1.0
MAX_PAUSE_SECONDS: Final = 60.0
GIVEN_UP: Final = "given_up"
#: Dispositions that another try does not change.
_FINAL: Final = (Disposition.ACCEPTED, Disposition.INVALID, Disposition.REJECTED)


class ToldAnswers(NamedTuple):
    """`results`: for the counter, one for each change that is over. `later`: why the others are to be told again; None:
    there are none."""

    results: list[str]
    later: Verdict | None


def changes_of(told: TokenTopics, address: bytes, mirrored: Iterable[str]) -> list[SubscriptionChange]:
    """Every mirrored topic, with whether the device follows it: the provider may think otherwise, of the device that
    had the token before, or since a change that was given up. Of a token that nobody had, what it follows alone."""
    followed = frozenset(told.holder.topics)
    return [
        SubscriptionChange(address, topic, topic in followed)
        for topic in mirrored
        if topic in followed or not told.is_new
    ]


def after_answers(changes: Sequence[SubscriptionChange], verdicts: Sequence[Verdict]) -> ToldAnswers:
    """Of one token."""
    results: list[str] = []
    later: Verdict | None = None
    for change, verdict in zip(changes, verdicts, strict=True):
        if verdict.disposition not in _FINAL:
            later = verdict
        elif verdict.disposition is Disposition.ACCEPTED:
            results.append("followed" if change.follows else "left")
        else:
            results.append(verdict.reason or str(verdict.disposition))
    return ToldAnswers(results, later)


def pause_seconds(refused: Verdict, pauses: int) -> float:
    """How long a project is left alone after its `pauses`th refusal in a row: doubling, not before it said, and never
    so long that a change is given up for it alone."""
    back_off = FIRST_PAUSE_SECONDS * 2.0 ** min(pauses, 10)
    return min(max(back_off, refused.retry_after_seconds or 0.0), MAX_PAUSE_SECONDS)


def is_given_up(appended_at_ms: int | None, now_ms: int) -> bool:
    """Whether a change that cannot be told now is not tried again."""
    return appended_at_ms is not None and now_ms - appended_at_ms > GIVE_UP_MS
