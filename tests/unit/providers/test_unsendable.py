"""A message that a renderer does not cope with ends; its sender does not."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, cast

import pytest

from pushcast.model.notification import LiveActivity, Options
from pushcast.providers import unsendable
from pushcast.providers.apns.message import render
from pushcast.providers.unsendable import Unsendable, render_or_refuse
from unit.providers.messages import message


@pytest.fixture(autouse=True)
def _untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsendable, "_told", set())


@pytest.mark.parametrize(
    "error", [TypeError("secret"), KeyError("secret"), ValueError("secret"), RecursionError(), OverflowError()]
)
def test_what_a_renderer_raises_is_a_reason_and_one_traceback(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> bytes:
        raise error

    for _ in range(3):
        with pytest.raises(Unsendable) as refusal:
            render_or_refuse(fails)
        assert refusal.value.reason == "unrenderable"
        assert "secret" not in str(refusal.value)
    assert [entry.levelno for entry in caplog.records if entry.exc_info] == [logging.ERROR]


def test_a_refusal_of_a_renderer_is_kept() -> None:
    def refuses(reason: str) -> bytes:
        raise Unsendable(reason, "why")

    with pytest.raises(Unsendable) as refusal:
        render_or_refuse(refuses, "payload_too_large")
    assert refusal.value.reason == "payload_too_large"


def test_a_state_nested_deeper_than_the_encoder_goes_is_unrenderable() -> None:
    state = '{"a":' * 400 + "1" + "}" * 400
    options = Options(push_type="liveactivity", live_activity=LiveActivity("update", content_state=state))
    with pytest.raises(Unsendable) as refusal:
        render_or_refuse(render, replace(message(), options=options), "com.example.news")
    assert refusal.value.reason == "unrenderable"


def test_a_push_type_of_a_newer_planner_is_unsupported() -> None:
    options = Options(push_type=cast(Any, "hologram"))
    with pytest.raises(Unsendable) as refusal:
        render_or_refuse(render, replace(message(), options=options), "com.example.news")
    assert (refusal.value.reason, refusal.value.field) == ("push_type_unsupported", "push_type")
