"""Processes: what runs in one, how one machine supervises several, where each can be asked how it is."""
