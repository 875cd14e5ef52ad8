"""Which parts of an input decided its label, how far that can be believed, and how it is shown."""
