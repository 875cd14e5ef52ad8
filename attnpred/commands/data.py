"""Look at data before training: columns, classes, odd and repeated rows, and the labels that trained runs doubt.

SOURCE is a file, a pattern, a directory, a hub id or a shipped dataset's name; overrides say what cannot be told.
"""

import argparse
from dataclasses import replace
from typing import Any

from attnpred.console import stdout
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.files import path_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="SOURCE", help="source, and overrides as data.label_column=stars")
    parser.add_argument(
        "--run", action="append", default=[], metavar="RUN", help="run whose answers doubt labels; repeatable, as folds"
    )
    parser.add_argument("--config-dir", help="a further directory of config files")
    parser.add_argument("--html", metavar="FILE", help="write a page, that needs nothing but itself")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    from attnpred.pages.page import write_page

    if not args.words and not args.run:
        raise UserError("attnpred data: name a source, such as reviews.csv, or a run by --run")
    story = _of_runs(args.run, args.words) if args.run else _of_words(args.words, args.config_dir)
    if args.html:
        from attnpred.survey.page import render

        write_page(path_of(args.html, "--html "), render(story), "--html")
        say(f"page: {args.html}")
    if args.json:
        stdout.write_json(story)
    else:
        from attnpred.survey import told

        stdout.show(told.text(story))
    return 0


def _of_words(words: list[str], config_dir: str | None) -> dict[str, Any]:
    from attnpred.survey.survey import survey
    from attnpred.survey.understood import understand

    return survey(understand(words, config_dir))


def _of_runs(names: list[str], words: list[str]) -> dict[str, Any]:
    """The data of the runs, which may lie elsewhere now, and what they doubt of it."""
    from attnpred.config import compose
    from attnpred.runs.run import Run
    from attnpred.survey.doubts import doubts
    from attnpred.survey.survey import survey
    from attnpred.survey.understood import Understood, quoted

    runs = [Run.find(name) for name in names]
    config = runs[0].config()
    for run in runs[1:]:
        if replace(run.config().data, fold=config.data.fold) != config.data:
            raise UserError(f"--run {run.path}: was trained on other data than {runs[0].path}; give runs of the same")
    overrides = [word if "=" in word else f"data.source={quoted(word)}" for word in words]
    config = compose.changed(config, overrides, ("data",))
    story = survey(Understood(config, "", None))
    return {**story, "doubts": doubts(runs, config)}
