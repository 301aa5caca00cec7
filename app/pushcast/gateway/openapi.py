"""The OpenAPI 3.1 document, from the route table and from what the decoders take. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pushcast import INTERFACE_VERSION
from pushcast.gateway.access import APP_HEADER
from pushcast.gateway.anonymous import SECRET_HEADER
from pushcast.gateway.engagement import MAX_EVENTS
from pushcast.gateway.http import JSON, NDJSON
from pushcast.gateway.letters import Redrive
from pushcast.gateway.problems import CONTENT_TYPE, KINDS
from pushcast.gateway.rehearsals import FIELD
from pushcast.gateway.routes import NO_BODY, PLACEHOLDERS, OpenRoute, Parameter, Route
from pushcast.wire.devices import devices
from pushcast.wire.events import engagement, notification_rules
from pushcast.wire.events.preferences import Choices

_REFERENCE: Final = "#/components/schemas/{name}"
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
#: What every call with a key may answer besides its own.
_COMMON: Final = (400, 401, 403, 404, 406, 422, 429, 431, 500, 503)
_OF_BODIES: Final = (408, 413, 415)
_KEY: Final = "key"
_APP: Final = "app"
_USER: Final = "user"
_DEVICE: Final = "device"
_BY_APP: Final = "For apps: their public key, and a token of the user that the customer's back end has signed."


def document(routes: Iterable[Route], open_routes: Iterable[OpenRoute]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for each in open_routes:
        answers = {"200": {"description": each.summary, "content": {JSON: {}}}}
        if _placeholders(each.path):
            answers["404"] = _problem(404)
        if each.name == "health":
            answers["503"] = {"description": "It does not", "content": {JSON: {}}}
        paths[each.path] = {
            "get": {
                "operationId": each.name,
                "summary": each.summary,
                "security": [],
                "parameters": _path_parameters(each.path),
                "responses": answers,
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pushcast",
            "version": INTERFACE_VERSION,
            "description": "Push notifications as a Kafka stream. A 202 says that Kafka has the record.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                _KEY: {"type": "http", "scheme": "bearer", "description": "`pushcast key create`"},
                _APP: {
                    "type": "apiKey",
                    "in": "header",
                    "name": APP_HEADER,
                    "description": "`pushcast key create-app`",
                },
                _DEVICE: {"type": "apiKey", "in": "header", "name": SECRET_HEADER},
                _USER: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
            "schemas": _schemas(),
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    answers = {str(status): {"description": text, "content": {JSON: {}}} for status, text in route.answers.items()}
    if route.lines is not None:  # to those who accept lines
        answers["207"]["content"] = {JSON: {}, NDJSON: {"schema": {"type": "string"}}}
    statuses = (*_COMMON, *(_OF_BODIES if route.max_bytes != NO_BODY else ()))
    for status in sorted(statuses):
        answers.setdefault(str(status), _problem(status))
    found: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": _BY_APP if route.by_app else f"Needs the scope `{route.scope}`.",
        "security": _security(route),
        "parameters": [*_path_parameters(route.path), *map(_query_parameter, route.query)],
        "responses": dict(sorted(answers.items())),
    }
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": _content(route)}
    return found


def _security(route: Route) -> list[dict[str, list[str]]]:
    if not route.by_app:
        return [{_KEY: []}]
    device: list[dict[str, list[str]]] = [{_APP: [], _DEVICE: []}] if route.anonymous else []
    return [{_USER: [], _APP: []}, *device]


def _content(route: Route) -> dict[str, Any]:
    if route.text:
        return {"text/plain": {"schema": {"type": "string"}}}
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{route.body}"}}}
    if route.max_lines_bytes:
        content[NDJSON] = {"schema": {"type": "string"}}
    return content


def _placeholders(path: str) -> list[str]:
    return re.findall(r"{([a-z]+)}", path)


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PLACEHOLDERS[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in _placeholders(path)
    ]


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.meaning,
        "schema": {"type": parameter.type},
    }


def _problem(status: int) -> dict[str, Any]:
    names = ", ".join(name for name, kind in KINDS.items() if kind.status == status)
    return {"description": f"Problem: {names}", "content": {CONTENT_TYPE: {"schema": _PROBLEM}}}


def _schemas() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, form, required in (
        ("Notification", notification_rules.RawNotification, ["user"]),
        ("DeviceChange", devices.JSON_FORM, ["op", "user"]),
        ("EngagementEvent", engagement.JSON_FORM, ["event"]),
    ):
        _, components = msgspec.json.schema_components((form,), ref_template=_REFERENCE)
        own = components.pop(form.__name__)
        found |= components
        found[name] = own | {"title": name, "required": required}
    properties = {each: value for each, value in found["DeviceChange"]["properties"].items() if each != "op"}
    found["Device"] = {"title": "Device", "type": "object", "required": ["platform"], "properties": properties}
    found["Preferences"] = _preferences(properties)
    found["Broadcast"] = _broadcast(found["Notification"]["properties"])
    found["ListedNotification"] = found["Notification"] | {"title": "ListedNotification"}
    found["Notification"] = _with_rehearsal(found["Notification"])
    event = found.pop("EngagementEvent")
    event["properties"] |= {"notification": _TEXT}
    found["Engagement"] = _engagement(event, ["user"])
    found["MyEngagement"] = _engagement(event, [])
    found["NotificationList"] = _list_of("notifications", "ListedNotification")
    found["DeviceList"] = _list_of("devices", "DeviceChange")
    found["Redrive"] = msgspec.json.schema_components((Redrive,), ref_template=_REFERENCE)[1]["Redrive"]
    found["Comment"] = {"type": "object", "properties": {"comment": {"type": "string", "maxLength": 500}}}
    found["CampaignCancel"] = {
        "type": "object",
        "properties": {"comment": {"type": "string", "maxLength": 500}, "remove": {"type": "boolean"}},
        "additionalProperties": False,
    }
    found["Problem"] = _PROBLEM_SCHEMA
    return dict(sorted(found.items()))


def _broadcast(fields: dict[str, Any]) -> dict[str, Any]:
    """A notification without a user, with an audience (docs/audiences.md)."""
    own: dict[str, Any] = {name: {"type": "object"} for name in ("audience", "pace", "split", "not_to")}
    own |= {"steps": {"type": "array", "items": {"type": "object"}}}
    own |= {name: {"type": "boolean"} for name in ("count_only", "quick")}
    properties = {name: value for name, value in fields.items() if name != "user"} | own
    schema = {"title": "Broadcast", "type": "object", "required": ["app", "audience"], "properties": properties}
    return _with_rehearsal(schema)


def _with_rehearsal(schema: dict[str, Any]) -> dict[str, Any]:
    """What may be asked for without being sent."""
    rehearse = {"type": "boolean", "description": "true: nothing is sent; the answer says what would be."}
    return schema | {"properties": {**schema["properties"], FIELD: rehearse}}


def _preferences(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a device change that belong to a user's choices."""
    names = (*Choices.__struct_fields__, "time_zone", "at")
    properties = {name: fields[name] for name in names}
    return {"title": "Preferences", "type": "object", "properties": properties, "additionalProperties": False}


def _engagement(event: dict[str, Any], of_whom: list[str]) -> dict[str, Any]:
    """Events of one user. App and device may be said once for all; `notification` stands for `ids` with one."""
    events = {"type": "array", "minItems": 1, "maxItems": MAX_EVENTS, "items": event}
    properties = {**dict.fromkeys(("user", "app", "device"), _TEXT), "events": events}
    required = [*of_whom, "events"]
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _list_of(field: str, schema: str) -> dict[str, Any]:
    items = {"type": "array", "maxItems": 1000, "items": {"$ref": f"#/components/schemas/{schema}"}}
    return {"type": "object", "required": [field], "properties": {field: items}, "additionalProperties": False}


_TEXT: Final = {"type": "string"}
_PROBLEM_SCHEMA: Final = {
    "type": "object",
    "description": "RFC 9457. `type` resolves on the gateway to what it means and what to do.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "instance": _TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {"pointer": _TEXT, "code": _TEXT, "detail": _TEXT},
            },
        },
    },
}
