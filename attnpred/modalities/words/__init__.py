"""Texts that come word by word, so that each word can have an answer of its own."""
