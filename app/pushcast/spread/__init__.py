"""SPREAD: checks broadcasts and turns each into one order for every partition."""
