"""How processes of ours ask each other: plain HTTP on ports that no client is to reach."""
