"""Push notifications as a Kafka stream. `__version__` is that of the git tag this was built from (pyproject.toml)."""

from pushcast._version import __version__

__all__ = ["__version__"]
