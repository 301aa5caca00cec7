"""Web Push: RFC 8030 (protocol), 8188 and 8291 (encryption), 8292 (VAPID)."""
