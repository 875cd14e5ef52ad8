"""How far new input, answers and attention are from those that a run knows."""
