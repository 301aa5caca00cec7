"""Simulated Web Push service (RFC 8030, 8188, 8291, 8292) that decrypts what it receives."""
