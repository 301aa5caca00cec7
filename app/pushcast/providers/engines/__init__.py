"""How requests travel: every engine takes a multicast template with columns and reports what became of each target."""
