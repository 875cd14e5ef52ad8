"""What people and programs read on a terminal."""
