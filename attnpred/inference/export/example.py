"""An export's own example: a short program that runs it without attnpred, made for the run's input and answer."""

import importlib
from collections.abc import Iterator
from typing import Any

from attnpred.inference.export.described import Described
from attnpred.modalities.reader import Reader, Standalone
from attnpred.tasks.base import Task

HEAD = '''"""Runs the exported model without attnpred: python example.py {argument}

Needs {needs}.
Prints a line of JSON: the answer, and the parts of the input with their importance.
"""

import json
import sys
from pathlib import Path

'''


def text(reader: Reader[Any, Any], task: Task, about: Described) -> str | None:
    """None where the input cannot be read without attnpred, or the file is not ONNX."""
    made = standalone(reader)
    if made is None or about.format != "onnx":
        return None
    imports = sorted({"import numpy as np", "import onnxruntime", *made.imports}, key=_order)
    needs = ", ".join(["numpy", "onnxruntime", *made.packages])
    lines = [
        HEAD.format(argument=made.argument, needs=needs).rstrip("\n"),
        "",
        *imports,
        "",
        "HERE = Path(__file__).parent",
        *made.lines,
        f'session = onnxruntime.InferenceSession(str(HERE / "{about.file}"))',
        *(_said(task) if task.answer.generation is not None else ()),
        "outputs = [one.name for one in session.get_outputs()]",
        "found = dict(zip(outputs, session.run(None, feeds)))",
        'answer, importance = found["answer"][0], found["importance"][0]',
        *_answer(task),
        'print(json.dumps({"answer": said, "attention": list(zip(parts, importance.tolist()))}, ensure_ascii=False))',
    ]
    return "\n".join(lines) + "\n"


def standalone(reader: Reader[Any, Any]) -> Standalone | None:
    """What the modality's module `standalone` says, where there is one."""
    place = type(reader).__module__.rpartition(".")[0]
    try:
        module = importlib.import_module(f"{place}.standalone")
    except ModuleNotFoundError as error:
        if error.name != f"{place}.standalone":
            raise
        return None
    found: Standalone | None = module.standalone(reader)
    return found


def _order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _answer(task: Task) -> Iterator[str]:
    """From `answer`, (width,) or (parts, width), to `said`, by the answer's shape alone."""
    spec, names = task.answer, task.names()
    if spec.generation is not None:
        yield 'written = json.loads((HERE / "spec.json").read_text(encoding="utf-8"))["target"]["tokenizer"]'
        yield f"text = Tokenizer.from_str(written).decode([one for one in so_far if one != {spec.generation.end}])"
        yield 'said, importance = text.strip(), found["alignment"][0].mean(0)'
    elif spec.shape == "parts":
        yield 'labels = json.loads((HERE / "labels.json").read_text(encoding="utf-8"))'
        if spec.chained:
            yield from VITERBI
        else:
            yield "best = answer.argmax(-1)"
        yield 'said = [labels[best[i]] for i, word in enumerate(found["answered"][0]) if word >= 0]'
    elif names and spec.exclusive:
        yield 'labels = json.loads((HERE / "labels.json").read_text(encoding="utf-8"))'
        yield "chances = np.exp(answer - answer.max()) / np.exp(answer - answer.max()).sum()"
        yield "said = dict(zip(labels, chances.tolist()))"
    elif spec.answers:
        yield from _several(task)
    elif names:
        yield 'labels = json.loads((HERE / "labels.json").read_text(encoding="utf-8"))'
        yield "said = dict(zip(labels, (1 / (1 + np.exp(-answer))).tolist()))"
    else:
        yield from _numbers(task)


def _said(task: Task) -> Iterator[str]:
    """The decoding loop: the likeliest token after those that are there, until the end."""
    generation = task.answer.generation
    assert generation is not None
    yield "so_far = []"
    yield f"while len(so_far) < {generation.longest} and so_far[-1:] != [{generation.end}]:"
    yield '    feeds["so_far"] = np.array([[*so_far, 0]])  # what stands at the place that is asked for is not read'
    yield '    so_far.append(int(session.run(["answer"], feeds)[0][0, -1].argmax()))'
    yield 'feeds["so_far"] = np.array([so_far])'


def _several(task: Task) -> Iterator[str]:
    """Several answers side by side, each by its task's name; as numbers, before any softmax."""
    yield "said, start = {}, 0"
    widths = {name: of.width for name, of in zip(task.views(), task.answer.answers, strict=True)}
    yield f"for name, width in {widths!r}.items():"
    yield "    said[name] = answer[start : start + width].tolist()"
    yield "    start += width"
    yield "importance = importance.reshape(-1, importance.shape[-1])[0]"


def _numbers(task: Task) -> Iterator[str]:
    """Numbers in the data's unit, by name."""
    spec: Any = task.spec
    yield f"names, mean = {list(spec.names)!r}, np.array({list(spec.mean)!r})"
    yield f"deviation = np.array({list(spec.deviation)!r})"
    forecast = task.answer.forecast
    if forecast is None:
        yield "said = dict(zip(names, (answer * deviation + mean).tolist()))"
        return
    yield f"steps = answer.reshape(len(names), {forecast.steps}, {forecast.numbers})[:, :, {forecast.numbers // 2}]"
    yield "said = dict(zip(names, (steps * deviation[:, None] + mean[:, None]).tolist()))"


# The likeliest sequence of tags, from each word's own numbers and the steps from tag to tag
VITERBI = (
    'steps, words = found["steps"], np.flatnonzero(found["answered"][0] >= 0)',
    'links = found["numbers"][0][words]',
    "score, came = steps[-1, :-1] + links[0], []",
    "for link in links[1:]:",
    "    further = score[:, None] + steps[:-1, :-1]",
    "    came.append(further.argmax(0))",
    "    score = further.max(0) + link",
    "path = [int((score + steps[:-1, -1]).argmax())]",
    "for before in reversed(came):",
    "    path.append(int(before[path[-1]]))",
    "best = np.zeros(len(answer), int)",
    "best[words] = path[::-1]",
)
