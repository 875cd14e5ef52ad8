"""Hostile and malformed input by the thousand, at every boundary where it enters: `python -m tests.siege`.

case.py       an input: which base, what is spoilt in it, what is asked for then; a JSON file of corpus/ holds one
odd.py        strategies of hypothesis that spoil documents, bytes and places, which all kinds share
bases.py      the runs, sweeps, encoders and pictures that are spoilt
kinds/        a file a kind of input: what it starts from, how it is spoilt, what is then done with it
watch.py      what a process opens, writes, deletes, starts and connects to while an input is tried
oracle.py     what holds for every input of every kind; says refused, accepted or failed
worker.py     tries inputs in a forked process, whose death or hanging is a finding too
guided.py     inputs of atheris, which looks for those that reach new lines of the parsers
reduce.py     what of a failing input matters
report.py     the table by kind, and docs/siege.md
"""
