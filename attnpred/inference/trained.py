"""A trained run as Python code and notebooks use it."""

import html
from functools import cached_property
from typing import Any

from attnpred.inference.predict import predict
from attnpred.modalities.reader import Reader
from attnpred.pages.pictures import Caption
from attnpred.runs.run import Run
from attnpred.tasks.base import Task


class Trained:
    def __init__(self, run: str) -> None:
        self.run = Run.find(run)
        self.config = self.run.config()

    @cached_property
    def _task(self) -> Task:
        return self.run.task()

    @cached_property
    def _reader(self) -> Reader[Any, Any]:
        return self.run.reader()

    def predict(self, *inputs: Any, explainer: str | None = None) -> "Answers":
        """Answers and attention for texts or image files, as `attnpred predict` gives them.

        Several texts that are read together are a mapping: `predict({"premise": "…", "hypothesis": "…"})`.
        """
        return Answers(predict(self.run, self.config, inputs, explainer), self._task, self._reader)


class Answers(list[dict[str, Any]]):
    """Plain descriptions, which a notebook draws."""

    def __init__(self, found: Any, task: Task, reader: Reader[Any, Any]) -> None:
        super().__init__(found)
        self._task, self._reader = task, reader

    def _repr_html_(self) -> str:
        return "".join(map(self._drawn, self))

    def _drawn(self, answer: dict[str, Any]) -> str:
        said, sure = self._task.headline(answer)
        head = f"<b>{html.escape(said)}</b>" + ("" if sure is None else f" {sure:.0%}")
        body = self._reader.html(answer, Caption(None, said, sure, wrong=False))
        return f'<p style="line-height:1.9">{head} {body}</p>'
