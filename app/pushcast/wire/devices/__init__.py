"""Devices and their owners: changes, rows of the devices table, claims of tokens."""
