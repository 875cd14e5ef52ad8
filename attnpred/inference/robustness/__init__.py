"""How a run fares where its input is worse than what it learned from, by chance or on purpose."""
