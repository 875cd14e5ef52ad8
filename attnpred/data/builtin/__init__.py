"""Datasets that need no download: a file each, with `CLASSES` and a function `rows`; its name is `builtin:NAME`."""
