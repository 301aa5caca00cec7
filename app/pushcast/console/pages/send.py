"""`/send`: one notification for a user, or for everybody who has a topic."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from pushcast.console.desk import Desk
from pushcast.console.plots import parts_of
from pushcast.console.preview import SOMEBODY
from pushcast.console.visit import Away, Deed, View, Visit
from pushcast.gateway.identity import fresh_id
from pushcast.gateway.problems import Problem
from pushcast.gateway.sizes import Measured

#: Fields of the form that are fields of the notification.
TEXTS: Final = ("app", "class", "campaign", "title", "subtitle", "body", "image", "link")
#: Further languages that the form has fields for, and what each may change.
LANGUAGES: Final = (1, 2, 3)
LOCAL_TEXTS: Final = ("title", "subtitle", "body")
_LOCAL: Final = tuple(f"{name}_{number}" for number in LANGUAGES for name in ("locale", *LOCAL_TEXTS))
FIELDS: Final = ("id", "to", "user", "topics", "dry_run", "confirm", "counted", *TEXTS, *_LOCAL)
USER: Final = "user"
TOPICS: Final = "topics"
#: A broadcast to so many devices, or fewer, is sent without a number being typed.
FREELY: Final = 1000


async def show(desk: Desk, visit: Visit) -> View:
    """GET /send. The page carries an id: a form that is sent twice is one notification."""
    first = {"id": fresh_id(visit.now_ms), "to": USER, "user": visit.query.get("user", ""), "dry_run": "true"}
    return _page(desk, visit, first)


async def send(desk: Desk, visit: Visit) -> View | Away:
    """POST /send: `do=check` shows what it would look like, `do=send` sends it."""
    form = {name: visit.form.get(name, "").strip() for name in FIELDS}
    sizes = None
    try:
        event = event_of(form)
        sizes = previews_of(desk, event, visit.now_ms)
        if visit.form.get("do") == "send":
            return await _send(desk, visit, form, event)
        form["counted"] = "" if form["to"] == USER else await _counted(desk, visit, form, event)
        return _page(desk, visit, form, sizes=sizes)
    except Problem as problem:
        if problem.status not in (400, 409, 422):
            raise
        return _page(desk, visit, form, sizes=sizes, problem=problem)


async def _send(desk: Desk, visit: Visit, form: Mapping[str, str], event: dict[str, Any]) -> Away:
    if form["to"] == USER:
        sent = await desk.api.ask("send", visit.caller, body={"user": form["user"], **event})
        question = urlencode({"user": form["user"], "notification": sent["id"]})
        return Away(f"/people?{question}", Deed(f"notification {sent['id']}", "", _sent(form)))
    if not is_confirmed(form):
        raise Problem("bad_request", f"type {to_confirm(form)} to send it; nothing was sent")
    sent = await desk.api.ask("broadcast", visit.caller, body={"audience": audience_of(form), **event})
    reached = f", about {form['counted']} devices" if form["counted"] else ""
    deed = Deed(f"broadcast {sent['id']} to {form['topics']}{reached}", "", _sent(form))
    return Away(f"/reports/{quote(sent['id'], safe='')}", deed)


def _sent(form: Mapping[str, str]) -> str:
    return "sent as a dry run" if form["dry_run"] == "true" else "sent"


async def _counted(desk: Desk, visit: Visit, form: Mapping[str, str], event: Mapping[str, Any]) -> str:
    """About how many devices it would reach; empty when nobody counts. The count has an id of its own."""
    body = {name: value for name, value in event.items() if name != "id"}
    try:
        found = await desk.api.ask(
            "count_broadcast", visit.caller, body={"audience": audience_of(form), **body}, query={"quick": "true"}
        )
    except Problem as problem:
        if problem.status != 503:
            raise
        return ""
    return str(found["devices"])


def to_confirm(form: Mapping[str, str]) -> str | None:
    """What has to be typed before a broadcast is sent: the number of devices, or the topics when that is not known.
    None: it is for few."""
    if not form["counted"]:
        return form["topics"]
    return form["counted"] if int(form["counted"]) > FREELY else None


def is_confirmed(form: Mapping[str, str]) -> bool:
    """A number may be typed with commas, points or spaces."""
    wanted, typed = to_confirm(form), form["confirm"]
    return wanted in (None, typed, re.sub(r"[,. ]", "", typed))


def audience_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Everybody who has one of the topics."""
    return {"topics": topics_of(form["topics"])}


def event_of(form: Mapping[str, str]) -> dict[str, Any]:
    """The event without its user or audience. What is empty is left out. Raises Problem."""
    if form["to"] not in (USER, TOPICS):
        raise Problem("bad_request", f"to is {USER} or {TOPICS}")
    if form["counted"] and not (form["counted"].isascii() and form["counted"].isdigit() and len(form["counted"]) < 12):
        raise Problem("bad_request", "counted is a number")
    if not form[form["to"]]:
        raise Problem("bad_request", "a user, or topics, are needed: who shall get it?")
    event: dict[str, Any] = {"id": form["id"], **{name: form[name] for name in TEXTS if form[name]}}
    if locales := locales_of(form):
        event["locales"] = locales
    if form["dry_run"] == "true":
        event["options"] = {"dry_run": True}
    return event


def locales_of(form: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Texts by language. Raises Problem for texts without a language, and for one that stands there twice."""
    found: dict[str, dict[str, str]] = {}
    for number in LANGUAGES:
        texts = {name: text for name in LOCAL_TEXTS if (text := form[f"{name}_{number}"])}
        locale = form[f"locale_{number}"]
        if texts and not locale:
            raise Problem("bad_request", f"which language is the text {next(iter(texts.values()))[:40]!r} for?")
        if locale in found:
            raise Problem("bad_request", f"the language {locale[:40]} stands there twice")
        if texts:
            found[locale] = texts
    return found


def previews_of(desk: Desk, event: Mapping[str, Any], now_ms: int) -> list[dict[str, Any]]:
    """What devices of each language show, the event's own texts first. Raises Problem for an event that is none.

    The first has all languages beside it, so the whole event is checked.
    """
    own: dict[str, str] = {name: event.get(name, "") for name in LOCAL_TEXTS}
    found: list[dict[str, Any]] = [
        {"locale": "", "texts": own, "sizes": _bars(desk.previews.of({"user": SOMEBODY, **event}, now_ms))}
    ]
    alone = {name: value for name, value in event.items() if name != "locales"}
    for locale, texts in event.get("locales", {}).items():
        sizes = desk.previews.of({"user": SOMEBODY, **alone, **texts}, now_ms)
        found.append({"locale": locale, "texts": {**own, **texts}, "sizes": _bars(sizes)})
    return found


def _bars(sizes: Iterable[Measured]) -> list[dict[str, Any]]:
    return [{**each._asdict(), "bar": parts_of({"accepted": each.size}, each.limit)} for each in sizes]


def topics_of(text: str) -> list[str]:
    """Separated by commas or white space."""
    return [topic for topic in text.replace(",", " ").split() if topic]


def _page(
    desk: Desk, visit: Visit, form: Mapping[str, str], *, sizes: Any = None, problem: Problem | None = None
) -> View:
    filled = {name: form.get(name, "") for name in FIELDS}
    broadcast = sizes is not None and filled["to"] == TOPICS
    return View(
        "send.html",
        {
            "form": filled,
            "previews": sizes,
            "languages": LANGUAGES,
            "problem": problem,
            "to_confirm": to_confirm(filled) if broadcast else None,
            "apps": sorted(desk.apps),
            "classes": sorted(desk.classes.items()),
            "curl": None if sizes is None else curl_of(filled),
        },
        200 if problem is None else problem.status,
    )


def curl_of(form: Mapping[str, str]) -> str:
    """The same by HTTP, as the body of its request."""
    event = event_of(form)
    who: dict[str, Any] = {"user": form["user"]} if form["to"] == USER else {"audience": audience_of(form)}
    return orjson.dumps({**who, **event}, option=orjson.OPT_INDENT_2).decode()
