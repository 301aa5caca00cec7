"""The one sentence of `pushcast why`. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from pushcast.audit.case import WAITING, Case, Wait, outcome
from pushcast.model.plural import counted
from pushcast.model.zones import UTC_NAME, zone_of
from pushcast.wire import groups, topics
from pushcast.wire.times import rfc3339


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """How far the groups have come in the user's partition, and how many members each has."""

    committed: Mapping[str, int] = field(default_factory=dict)  # by topic; 0 where nothing was
    members: Mapping[str, int] = field(default_factory=dict)  # by group


class HeldPart(NamedTuple):
    """What the keeper has of it. `due_ms` 0: it is about to be let go. `zone`: where its user is."""

    due_ms: int
    why: str
    zone: str = UTC_NAME


def answer(case: Case, progress: GroupProgress, held: Sequence[HeldPart] = ()) -> str | None:
    """Why the user, or the device, did or did not get it; None: the topics know nothing of it."""
    if case.receipts or case.planned_here:
        return _deliveries(case, progress, held)
    if case.dead:
        reason, message = case.dead[-1]
        return f"no: its event became a dead letter, {reason}: {message}"
    if case.events:
        return _unplanned(case, progress)
    return None


def _unplanned(case: Case, progress: GroupProgress) -> str:
    lane, offset = max(case.events, key=lambda event: event[1])
    topic, group = topics.notification(lane), groups.plan(lane)
    committed = progress.committed.get(topic, 0)
    if offset < committed:
        return f"no: {group} has read its event, but no planned record says so; `pushcast audit` judges that"
    before = counted(offset - committed, "record")
    return f"not yet: its event waits in {topic}, {before} before it{_alone(group, progress)}"


def _deliveries(case: Case, progress: GroupProgress, held: Sequence[HeldPart]) -> str:
    total = sum(count for _, count, _ in case.planned_here.values())
    open_waits = {delivery: wait for delivery, wait in case.waits.items() if delivery not in case.receipts}
    ended = Counter(outcome(receipt) for receipt in case.receipts.values())
    parts = [f"{count} {word}" for word, count in sorted(ended.items())]
    parts += [
        f"{count} {word}" for word, count in Counter(_wait(each, progress) for each in open_waits.values()).items()
    ]
    parts += [_held(part, progress) for part in sorted(held)]
    if not case.receipts and not total and not held:
        reasons = sorted({reason for _, _, reason in case.planned_here.values() if reason})
        return f"no: it was planned for no device{': ' if reasons else ''}{', '.join(reasons)}"
    if case.device is not None and not case.receipts and not open_waits and not held:
        there = next(iter(case.rows.values()), f"there is no device {case.device} of this user now")
        return f"no: none of the {total} deliveries planned is for device {case.device} as far as records show; {there}"
    if case.device is None and (lost := total - len(case.receipts) - len(open_waits)) > 0:
        parts.append(f"{lost} on the way or lost: `pushcast audit` judges that")
    return f"{_verdict(case, bool(open_waits or held))}: " + "; ".join(parts)


def _held(part: HeldPart, progress: GroupProgress) -> str:
    until = f"until {rfc3339(part.due_ms)}{_reading(part)}" if part.due_ms else "and about to be let go"
    return f"held {until} ({part.why}){_alone(groups.KEEP, progress)}"


def _reading(part: HeldPart) -> str:
    """What clocks show then where the user is."""
    zone = zone_of(part.zone)
    if zone is None or part.zone == UTC_NAME:
        return ""
    return f", {datetime.fromtimestamp(part.due_ms / 1000, zone):%H:%M} {part.zone}"


def _verdict(case: Case, is_open: bool) -> str:
    accepted = [receipt["outcome"] == "accepted" for receipt in case.receipts.values()]
    if accepted and all(accepted) and not is_open:
        return "yes"
    if any(accepted):
        return "in part"
    return "not yet" if is_open or not accepted else "no"


def _wait(wait: Wait, progress: GroupProgress) -> str:
    text = f"waiting in {wait.topic}"
    if wait.why:
        text += f" ({wait.why})"
    if wait.due_ms:
        text += f" until {rfc3339(wait.due_ms)}"
    return text + _alone(WAITING[wait.topic], progress)


def _alone(group: str, progress: GroupProgress) -> str:
    return f", and {group} has no member" if progress.members.get(group) == 0 else ""
