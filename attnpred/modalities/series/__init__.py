"""Series: numbers of one variable or several, moment by moment."""
