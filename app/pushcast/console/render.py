"""Pages from templates. Whatever a producer or an app has written is escaped, without exception: `autoescape` is on and
no template turns it off."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from pushcast.console import words
from pushcast.model.plural import counted

_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Asset:
    """A file of `static/`. Its path holds the hash of its bytes, so a browser may keep it for ever."""

    def __init__(self, name: str) -> None:
        self.body = (files("pushcast.console") / "static" / name).read_bytes()
        stem, _, kind = name.rpartition(".")
        self.path = f"/static/{stem}.{sha256(self.body).hexdigest()[:16]}.{kind}"
        self.content_type = _TYPES[kind]


class Renderer:
    """Makes HTML. `assets`: by name."""

    def __init__(self) -> None:
        self.assets = {name: Asset(name) for name in ("console.css", "console.js", "icon.svg")}
        self._environment = Environment(
            loader=PackageLoader("pushcast.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "number": words.number,
            "percent": words.percent,
            "duration": words.duration,
            "milliseconds": words.milliseconds,
            "iso": words.iso,
            "spoken": words.spoken,
            "state": words.state_of,
            "segment": lambda text: quote(str(text), safe=""),
            "counted": counted,
            "indented": words.indented,
        }
        self._environment.globals |= {
            "asset": {name: asset.path for name, asset in self.assets.items()},
            "outcome_words": words.OUTCOMES,
            "when": words.when,
            "took": words.took,
        }

    def page(self, template: str, context: Mapping[str, Any]) -> str:
        """A whole page. Raises UndefinedError for what the context lacks."""
        return str(self._environment.get_template(template).render(context))

    def live(self, template: str, context: Mapping[str, Any]) -> str:
        """Its block `live` alone."""
        found = self._environment.get_template(template)
        return "".join(found.blocks["live"](found.new_context(dict(context))))
