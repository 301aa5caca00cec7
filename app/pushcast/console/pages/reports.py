"""`/reports`, `/reports/{id}`, `/campaigns/{label}`: what became of notifications and broadcasts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from pushcast.console.desk import Desk
from pushcast.console.plots import BarPart, Plot, accepted_a_second, arrival, parts_of
from pushcast.console.reasons import reasons_of
from pushcast.console.visit import Away, Deed, View, Visit
from pushcast.console.words import OUTCOMES
from pushcast.gateway.problems import Problem
from pushcast.gateway.reports import FILTERS, STATES

#: Reports that a campaign's page sums up.
MAX_SUMMED: Final = 500
SLO_SECONDS: Final = "120"
#: Fewer are no curve.
MIN_PLOTTED: Final = 10


async def listed(desk: Desk, visit: Visit) -> View | Away:
    """GET /reports, or one of them with `?id=`."""
    if note_id := visit.query.get("id", "").strip():
        return Away(f"/reports/{quote(note_id, safe='')}")
    kept = {name: text for name, text in visit.query.items() if text and name in (*FILTERS, "cursor")}
    found = await desk.api.ask("reports", visit.caller, query=kept)
    return View(
        "reports.html",
        {
            "reports": [with_bar(each) for each in found["reports"]],
            "next": found["next_cursor"],
            "missing": found["missing_partitions"],
            "asked": {name: kept.get(name, "") for name in (*FILTERS, "cursor")},
            "apps": sorted(desk.apps),
            "classes": sorted(desk.classes),
            "states": STATES,
            "reasons": reasons_of(found["reports"], app=kept["app"]) if "app" in kept else [],
        },
    )


async def show(desk: Desk, visit: Visit) -> View:
    """GET /reports/{id}."""
    try:
        report = await desk.api.ask("report", visit.caller, path={"id": visit.path["id"]})
    except Problem as problem:
        if problem.status != 404:
            raise
        return View("report_missing.html", {"id": visit.path["id"], "missing": 0}, 404)
    if "planned" not in report:
        return View("report_missing.html", {"id": report["id"], "missing": len(report["missing_partitions"])}, 503)
    name = report["id"]
    return View(
        "report.html",
        {
            "report": report,
            "whole": _bar(report),
            "platforms": _with_bars(report["platforms"]),
            "variants": _with_bars(report.get("variants", {})),
            "reasons": reasons_of([report], report=name),
            "funnel": funnel(report),
            "arrival": _arrival(report),
            "accepted": _accepted(report),
            "slowest_ms": slowest_ms(report["latency_ms"]),
            "slo": report["within_seconds"].get(SLO_SECONDS),
            "stopped": name in desk.control.stops,
            "held": name in desk.control.holds,
            "cancelled": report["campaign"] in desk.control.campaigns if report["campaign"] else False,
        },
    )


async def campaign(desk: Desk, visit: Visit) -> View:
    """GET /campaigns/{label}: the sum of its reports."""
    label = visit.path["label"]
    query = {"campaign": label, "limit": str(MAX_SUMMED), "dry_run": "true"}
    found = await desk.api.ask("reports", visit.caller, query=query)
    total: Counter[str] = Counter()
    for each in found["reports"]:
        total.update(each["outcomes"])
        total["open"] += each["open"]
    latencies = summed(each["latency_histogram"] for each in found["reports"])
    drawn = total["accepted"] >= MIN_PLOTTED
    return View(
        "campaign.html",
        {
            "label": label,
            "arrival": arrival(latencies, total["accepted"], total.total()) if drawn else None,
            "accepted": accepted_a_second(latencies) if drawn else None,
            "reports": [with_bar(each) for each in found["reports"]],
            "more": found["next_cursor"] is not None,
            "planned": total.total(),
            "whole": parts_of(_ordered(total)),
            "reasons": reasons_of(found["reports"], campaign=label),
            "cancelled": desk.control.campaigns.get(label),
        },
    )


def summed(histograms: Iterable[Sequence[Mapping[str, float]]]) -> list[dict[str, float]]:
    """Latencies of several reports as those of one: their buckets have the same bounds."""
    counts: Counter[float] = Counter()
    for each in histograms:
        for bucket in each:
            counts[bucket["up_to_ms"]] += int(bucket["count"])
    return [{"up_to_ms": bound, "count": count} for bound, count in sorted(counts.items())]


async def cancel(desk: Desk, visit: Visit) -> Away:
    """POST /campaigns/{label}/cancel: `do=cancel` stops it, once its name is typed; `do=end` lets it leave again."""
    label, form = visit.path["label"], visit.form
    before = "cancelled" if label in desk.control.campaigns else "leaves"
    if form.get("do") == "end":
        await desk.api.ask("cancel_campaign_end", visit.caller, path={"name": label})
        after = "leaves"
    elif form.get("typed", "").strip() != label:
        raise Problem("bad_request", f"type {label[:64]} to cancel it; nothing was cancelled")
    else:
        comment, remove = form.get("comment", "").strip(), form.get("remove") == "true"
        body = {"comment": comment, "remove": remove}
        await desk.api.ask("cancel_campaign", visit.caller, path={"name": label}, body=body)
        after = f"cancelled{', and taken back' if remove else ''}{f': {comment}' if comment else ''}"
    return Away(f"/campaigns/{quote(label, safe='')}", Deed(label, before, after))


def funnel(report: Mapping[str, Any]) -> list[BarPart]:
    """From the audience to those who opened it, each a share of the first. What no app told is left out."""
    steps: dict[str, int] = {}
    if "matched" in report:
        steps["matched"] = report["matched"]
    steps["planned"] = report["planned"]
    steps["ended"] = report["planned"] - report["open"]
    steps["accepted"] = report["outcomes"].get("accepted", 0)
    steps |= {name: count for name in ("received", "opened") if (count := report["engagement"][name])}
    whole = max(1, *steps.values())
    return [
        BarPart(
            name, "accepted" if name == "accepted" else "step", count, count / whole, 0.0, round(count / whole * 100, 3)
        )
        for name, count in steps.items()
    ]


def slowest_ms(latency_ms: Mapping[str, float | None]) -> int | None:
    """So slow, or slower, was about the slowest hundredth of what was accepted; None where nothing was. A percentile is
    that far from the truth."""
    p99 = latency_ms["p99"]
    return None if p99 is None else int(p99 / (1 + (latency_ms["relative_error"] or 0.0)))


def _arrival(report: Mapping[str, Any]) -> Plot | None:
    accepted = report["outcomes"].get("accepted", 0)
    if accepted < MIN_PLOTTED:
        return None
    return arrival(report["latency_histogram"], accepted, report["planned"])


def _accepted(report: Mapping[str, Any]) -> Plot | None:
    if report["outcomes"].get("accepted", 0) < MIN_PLOTTED:
        return None
    return accepted_a_second(report["latency_histogram"])


def with_bar(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report as lists show it."""
    return {**report, "bar": _bar(report)}


def _bar(report: Mapping[str, Any]) -> list[BarPart]:
    return parts_of(_ordered({**report["outcomes"], "open": report["open"]}))


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return {str(name): counts.get(name, 0) for name in (*OUTCOMES, "open")}


def _with_bars(by_name: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for name, row in sorted(by_name.items()):
        ended = sum(row["outcomes"].values())
        counts = _ordered({**row["outcomes"], "open": max(0, row["planned"] - ended)})
        found.append({"name": name, **row, "bar": parts_of(counts)})
    return found
