"""Push notifications as a Kafka stream. `__version__` is that of the git tag this was built from (pyproject.toml)."""

from typing import Final

from pushcast._version import __version__

#: Of the paths below /v1 and the topics that end in .v1: their documents in docs/ say it, whatever commit writes them.
INTERFACE_VERSION: Final = "1"

__all__ = ["INTERFACE_VERSION", "__version__"]
