"""Schemas and topology files, from the wheel or from a checkout."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

Kind = Literal["schemas", "topology"]


def data_dir(kind: Kind) -> Traversable:
    """Folder of `kind`: `pushcast/_data/<kind>` in a wheel, the checkout's own folder in an editable install.

    Raises FileNotFoundError when neither is there.
    """
    packed = files("pushcast") / "_data" / kind
    if packed.is_dir():
        return packed
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / kind).is_dir():
        return checkout / kind
    raise FileNotFoundError(f"{kind}/ is neither in the pushcast wheel nor beside app/ in {checkout}")
