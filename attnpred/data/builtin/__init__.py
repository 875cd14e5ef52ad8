"""Datasets that need no download: a file each, with `CLASSES` and a function; its name is `builtin:NAME`.

The function is `rows()`, or `generate(count)` where rows are made up: `data.rows` of them, one after the other, always
the same ones. Those of fewer are the first of more.
"""
