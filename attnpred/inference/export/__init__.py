"""A run as files that work without attnpred."""
