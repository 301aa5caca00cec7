"""From planner to sender and settler: send batches, retries, parked work, tickets."""
