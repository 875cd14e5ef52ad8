"""Kinds of input: a folder each."""
