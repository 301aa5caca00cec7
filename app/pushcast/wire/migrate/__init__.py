"""Exports of other systems as device changes: a module for each, and what they share."""
