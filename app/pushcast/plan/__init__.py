"""PLAN: joins notifications with the devices table, windows them into multicast batches, states what it planned."""
