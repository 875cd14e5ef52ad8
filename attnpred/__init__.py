"""attnpred: train models that predict attention, and measure how far it can be believed."""

__version__ = "0.1.0"
