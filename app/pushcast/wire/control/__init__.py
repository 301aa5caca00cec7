"""What processes and people tell every process: control, cancels in force, API keys, who is where."""
