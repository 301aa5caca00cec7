"""Which processes one machine runs."""

from __future__ import annotations

from pushcast.config.settings import Settings
from pushcast.model.words import Lane, Platform
from pushcast.runtime.layout import processes

APPS = {"news": {"expo": {}}}


def test_every_lane_has_processes_of_its_own_and_bulk_yields() -> None:
    plans = {plan.name: plan for plan in processes(Settings(apps=APPS), list(Lane), list(Platform))}
    assert {f"{role}-{lane}" for role in ("planner", "sender") for lane in Lane} <= plans.keys()
    assert {"registrar", "settler"} <= plans.keys()
    assert {name for name, plan in plans.items() if not plan.niceness} == {"planner-urgent", "sender-urgent"}
    for role in ("planner", "sender"):
        assert plans[f"{role}-urgent"].niceness < plans[f"{role}-normal"].niceness < plans[f"{role}-bulk"].niceness


def test_senders_run_only_for_configured_platforms() -> None:
    names = {plan.name for plan in processes(Settings(), list(Lane), list(Platform))}
    assert not any(name.startswith("sender") for name in names)
    plans = processes(Settings(apps=APPS), [Lane.URGENT], list(Platform))
    sender = next(plan for plan in plans if plan.name == "sender-urgent")
    assert sender.arguments[-2:] == ("--platform", "expo")
