"""What Pushcast answers: receipts, planned records, legs of walks, dead letters."""
