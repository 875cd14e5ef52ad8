"""A trained run as Python code and notebooks use it."""

import html
from collections.abc import Iterable, Mapping, Sequence, Sized
from functools import cached_property
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attnpred.config import compose
from attnpred.errors import UserError
from attnpred.inference.predict import Predictor
from attnpred.modalities.reader import Reader
from attnpred.pages import alignments
from attnpred.pages.pictures import Caption
from attnpred.runs.run import Run
from attnpred.tasks.base import Task

if TYPE_CHECKING:
    import pandas

LONGEST_SHOWN = 60  # characters of an input in a line
STRONGEST = 3  # words in a line


class Trained:
    """A run whose model is loaded with the first question, and kept: later ones take milliseconds."""

    def __init__(self, run: str | Path) -> None:
        self.run = Run.find(str(run))
        self.config = self.run.config()

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.run.path

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self.run, self.config)

    def predict(self, *inputs: Any, explainer: str | None = None, attention: bool = True) -> "Answers":
        """Answers and attention for texts or image files, as `attnpred predict` gives them.

        Several arguments, or a list, a column of a table, or whatever else can be gone through. Several texts that are
        read together are a mapping: `predict({"premise": "…", "hypothesis": "…"})`.
        """
        if explainer is not None:
            compose.explainer(explainer)
        found = self._predictor.answers(_each(inputs), explainer, attention)
        return Answers(found, self._predictor.task, self._predictor.reader)

    def explain(
        self,
        *inputs: Any,
        explainers: Sequence[str] = ("attention", "integrated_gradients"),
        split: Literal["train", "val", "test"] = "val",
        limit: int = 100,
        removal: str | None = None,
    ) -> "Story":
        """What `attnpred explain` writes: of the inputs, or of a split, where explanations are measured too."""
        from attnpred.explain.run import explain

        for name in explainers:
            compose.explainer(name)
        given = _each(inputs) if inputs else None
        found = explain(
            self.run, self.config, names=list(explainers), inputs=given, split=split, limit=limit, removal=removal
        )
        return Story(found)

    def evaluate(self, *overrides: str, split: Literal["val", "test"] = "test") -> dict[str, Any]:
        """Metrics on a split, as `attnpred evaluate` prints them; overrides change data.… or trainer.… options."""
        from attnpred.inference.evaluate import evaluate

        config = compose.changed(self.config, list(overrides), ("data", "trainer"))
        return evaluate(self.run, config, split, self.run.task())

    def __repr__(self) -> str:
        names = {
            "model": compose.file_of(self.config.model._target_),
            "data": self.config.data.name,
            "task": compose.file_of(self.config.task._target_),
            "seed": self.config.seed,
            "status": self.run.description()["status"],
        }
        return f"<attnpred run {self.run.path}: {', '.join(f'{key} {value}' for key, value in names.items())}>"


class Answers(list[dict[str, Any]]):
    """Plain descriptions, which print as a line each, and which a notebook draws."""

    def __init__(self, found: Iterable[dict[str, Any]], task: Task, reader: Reader[Any, Any]) -> None:
        super().__init__(found)
        self._task, self._reader = task, reader

    def to_pandas(self) -> "pandas.DataFrame":
        """A row an input: what was given, the answer, how sure the model is, and all else that was described."""
        import pandas

        return pandas.DataFrame([{**_given(answer["input"]), **self._columns(answer)} for answer in self])

    def _columns(self, answer: dict[str, Any]) -> dict[str, Any]:
        said, sure = self._task.headline(answer)
        rest = {key: value for key, value in answer.items() if key != "input"}
        return {"answer": said, "probability": sure, **rest}

    def __repr__(self) -> str:
        return "\n".join(map(self._line, self)) or "no answers"

    def _line(self, answer: dict[str, Any]) -> str:
        said, sure = self._task.headline(answer)
        given = str(answer["input"])
        shown = given if len(given) <= LONGEST_SHOWN else f"{given[: LONGEST_SHOWN - 1]}…"
        return f"{shown} → {said}" + ("" if sure is None else f" {sure:.0%}") + _strongest(answer)

    def _repr_html_(self) -> str:
        return "".join(map(self._drawn, self))

    def _drawn(self, answer: dict[str, Any]) -> str:
        if "answers" in answer:
            return "".join(self._one(answer, name, task) for name, task in self._task.views().items())
        return self._one(answer, "", self._task)

    def _one(self, answer: dict[str, Any], name: str, task: Task) -> str:
        """One of several answers, or the only one, on what was given."""
        answer = {**answer, **answer["answers"][name]} if name else answer
        said, sure = task.headline(answer)
        said = f"{name}: {said}" if name else said
        head = f"<b>{html.escape(said)}</b>" + ("" if sure is None else f" {sure:.0%}")
        shown = bool({"attention", "texts", "inputs"} & answer.keys())
        caption = Caption(None, said, sure, wrong=False)
        body = self._reader.html(answer, caption) + _alignment(answer) if shown else html.escape(str(answer["input"]))
        return f'<p style="line-height:1.9">{head} {body}</p>'


class Story(dict[str, Any]):
    """Explanations as plain containers, and as the page that `attnpred explain` writes."""

    def html(self) -> str:
        from attnpred.explain.page import render

        return render(self)

    def save(self, file: str | Path) -> Path:
        from attnpred.pages.page import write_page

        path = Path(file).expanduser()
        write_page(path, self.html(), "save")
        return path

    def to_pandas(self) -> "pandas.DataFrame":
        """How far each explainer can be believed: a row each, of the means that were measured."""
        import pandas

        if self["faithfulness"] is None:
            raise UserError("to_pandas: faithfulness is measured on a split alone; call explain without inputs")
        scores: Mapping[str, Mapping[str, Sequence[float]]] = self["faithfulness"]["scores"]
        means = {name: {score: found[0] for score, found in of.items()} for name, of in scores.items()}
        return pandas.DataFrame.from_dict(means, orient="index")

    def __repr__(self) -> str:
        names = ", ".join(one["name"] for one in self["explainers"])
        return f"<{len(self['examples'])} examples of {self['title']}, explained by {names}; see save and to_pandas>"


class Runs(list[dict[str, Any]]):
    """Runs as plain descriptions, the oldest first: where each lies, how it stands, its options and its results."""

    def to_pandas(self) -> "pandas.DataFrame":
        import pandas

        return pandas.DataFrame(list(self))

    def __repr__(self) -> str:
        from attnpred.console import tables

        names = ("run", "status", "model", "data", "seed")
        return tables.align([names, *([str(one.get(name, "–")) for name in names] for one in self)])


def _alignment(answer: Mapping[str, Any]) -> str:
    return alignments.table(answer) if "alignment" in answer else ""


def _each(inputs: Sequence[Any]) -> list[Any]:
    """The inputs one by one: of arguments that hold several, what they hold. Rows of numbers are one series."""
    found: list[Any] = []
    for one in inputs:
        if isinstance(one, Path):
            found.append(str(one))
        elif isinstance(one, str | Mapping) or _depth(one) in (1, 2):
            found.append(one)
        elif isinstance(one, Iterable):
            found += _each(list(one))
        else:
            raise UserError(f"{one!r}: is no input; give texts, paths of images, or lists of them")
    return found


def _depth(one: Any) -> int | None:
    """How deep numbers lie in lists or an array; None where there are none."""
    if isinstance(one, Number):
        return 0
    if isinstance(one, str | Path | Mapping) or not (isinstance(one, Iterable) and isinstance(one, Sized)):
        return None
    first = next(iter(one), None)
    inside = None if first is None else _depth(first)
    return None if inside is None else inside + 1


def _given(value: Any) -> dict[str, Any]:
    """What was given, in a column; several texts in one each."""
    return dict(value) if isinstance(value, Mapping) else {"input": value}


def _strongest(answer: Mapping[str, Any]) -> str:
    """The words with most attention."""
    if "words" not in answer or "attention" not in answer:
        return ""
    ranked = sorted(zip(answer["attention"], answer["words"], strict=True), key=lambda pair: -abs(pair[0]))
    return f" ({', '.join(word for _, word in ranked[:STRONGEST])})" if ranked else ""
