"""Data: sources, columns, splits, cache and batching. Knows nothing of models."""
