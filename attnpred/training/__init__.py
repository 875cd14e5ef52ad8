"""Training: the linear story, the learner, optimizers and callbacks."""
