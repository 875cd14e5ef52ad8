"""A look at data before training, and at labels that a trained run doubts."""
