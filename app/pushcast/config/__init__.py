"""The settings tree: one file, environment above it, refused when anything in it is unknown or contradictory."""
