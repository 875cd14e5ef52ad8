"""Data: sources, tokenising, batching, augmentation. Knows nothing of models."""
