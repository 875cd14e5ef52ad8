"""What listens to training: progress, monitoring, and checkpoints."""
