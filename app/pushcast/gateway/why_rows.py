"""What the reports add to why: what the app told, and how deliveries ended whose records Kafka has removed. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from pushcast.model.words import Outcome

#: As `audit.verdict` says it of receipts.
_ACCEPTED: Final = "accepted_by_provider"
#: What an app tells, the last step first: (field of a delivery, answer).
_TOLD: Final = (("opened_at", "opened"), ("received_at", "received"))


def with_rows(
    found: dict[str, Any], known: bool, history: Mapping[str, Any] | None, device: str | None
) -> dict[str, Any]:
    """The answer of the topics with what the reporters have of the same notification; None: they do not answer.

    `known`: whether the topics know anything of it.
    """
    kept: Mapping[str, Any] = found["kept_since"]
    if history is None:
        return found | {"deliveries": None}
    rows = [row for row in history["deliveries"] if device is None or row["device"] == device]
    found = found | {"deliveries": rows, "kept_since": {**kept, "deliveries": history["kept_since"]}}
    if not rows:
        return found
    if not known:
        found |= {"answer": _sentence(rows), "verdict": _verdict(rows)}
    if found["verdict"]["answer"] == _ACCEPTED:
        for field, word in _TOLD:
            if times := [row[field] for row in rows if row[field]]:
                found["verdict"] = {**found["verdict"], "answer": word}
                told = f"; the app told that it was {word} at {min(times)}"
                found["answer"] = found["answer"].removesuffix(".") + told
                break
    return found


def _verdict(rows: list[dict[str, Any]]) -> dict[str, Any]:
    if any(row["outcome"] == Outcome.ACCEPTED for row in rows):
        return {"answer": _ACCEPTED, "because": None}
    last = max(rows, key=lambda row: str(row["ended_at"]))
    return {"answer": last["outcome"], "because": last["reason"]}


def _sentence(rows: list[dict[str, Any]]) -> str:
    ended = Counter(row["outcome"] + (f" ({row['reason']})" if row["reason"] else "") for row in rows)
    accepted = sum(row["outcome"] == Outcome.ACCEPTED for row in rows)
    word = "yes" if accepted == len(rows) else "in part" if accepted else "no"
    said = "; ".join(f"{count} {how}" for how, count in sorted(ended.items()))
    return f"{word}: {said}, as the reports have it: the topics no longer do"
