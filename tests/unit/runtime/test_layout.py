"""Which processes one machine runs."""

from __future__ import annotations

from pushcast.config.settings import Settings
from pushcast.model.words import Lane, Platform
from pushcast.runtime.layout import compact, processes
from pushcast.runtime.process import linger_seconds, process_name

SETTINGS = Settings.model_validate({"apps": {"news": {"expo": {}}}})


def test_every_lane_has_processes_of_its_own_and_bulk_yields() -> None:
    plans = {plan.name: plan for plan in processes(SETTINGS, list(Lane), list(Platform))}
    assert {f"{role}-{lane}" for role in ("planner", "sender") for lane in Lane} <= plans.keys()
    assert plans["registrar-settler-keeper"].roles == ("registrar", "settler", "keeper")
    urgent = {"planner-urgent", "sender-urgent"}
    assert {name for name, plan in plans.items() if not plan.niceness} == urgent
    for role in ("planner", "sender"):
        assert plans[f"{role}-urgent"].niceness < plans[f"{role}-normal"].niceness < plans[f"{role}-bulk"].niceness


def test_senders_run_only_for_configured_platforms() -> None:
    names = {plan.name for plan in processes(Settings(), list(Lane), list(Platform))}
    assert not any(name.startswith("sender") for name in names)
    plans = processes(SETTINGS, [Lane.URGENT], list(Platform))
    sender = next(plan for plan in plans if plan.name == "sender-urgent")
    assert sender.platforms == (Platform.EXPO,)
    assert sender.arguments == ("sender", "--slot", "local", "--lane", "urgent", "--platform", "expo")


def test_compact_is_one_process_with_every_role_under_the_name_that_it_gives_itself() -> None:
    (plan,) = compact(SETTINGS, list(Lane), list(Platform))
    roles = ["registrar", "planner", "sender", "settler", "keeper"]
    assert list(plan.roles) == roles
    assert plan.name == process_name(roles, list(Lane))
    assert plan.niceness == 0


def test_what_waits_for_a_push_lingers_less_than_what_writes_many_small_records() -> None:
    every = {"registrar", "planner", "sender", "settler", "keeper"}
    assert linger_seconds(["planner"]) == linger_seconds(sorted(every)) == 0
    assert 0 < linger_seconds(["keeper"]) < min(linger_seconds([role]) for role in every - {"planner", "keeper"})
    bulk = linger_seconds(["sender"], [Lane.BULK])
    assert bulk > linger_seconds(["sender"], [Lane.NORMAL]) == linger_seconds(["sender"])
    assert linger_seconds(["sender", "planner"], [Lane.BULK]) == 0


def test_compact_has_the_slot_of_the_other_layout_so_that_each_takes_over_the_others_data() -> None:
    plans = [*compact(Settings(), [Lane.URGENT], []), *processes(Settings(), [Lane.URGENT], [])]
    assert {plan.slot for plan in plans} == {"local"}


def test_compact_without_a_platform_hosts_no_sender() -> None:
    (plan,) = compact(Settings(), list(Lane), list(Platform))
    assert not {"sender", "settler"} & set(plan.roles)


def test_a_reporter_runs_where_there_are_reports_or_webhooks() -> None:
    hook = {
        "url": "https://a.example/",
        "secret_file": "s",
        "events": ["tokens.invalid"],
        "allowed_hosts": ["a.example"],
    }
    for more, runs in (({}, False), ({"reports": {}}, True), ({"webhooks": {"crm": hook}}, True)):
        plans = processes(Settings.model_validate(more), [Lane.URGENT], [])
        assert ("reporter" in {plan.name for plan in plans}) is runs
