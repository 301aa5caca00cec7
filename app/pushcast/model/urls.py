"""URLs of this machine's own services."""

from __future__ import annotations


def http_url(host: str, port: int) -> str:
    """Without a path. `host`: a name or an address; one of IPv6 comes without brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
