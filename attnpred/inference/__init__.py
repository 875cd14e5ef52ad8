"""What a trained run answers."""
