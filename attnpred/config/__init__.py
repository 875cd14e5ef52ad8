"""Options: what they are, how files become a checked config, and what a stranger's file may do."""
