"""KEEP: what is waited for, and what was called off."""
