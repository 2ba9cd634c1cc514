"""The array: its line resistance, and how its lines are biased in a write."""
