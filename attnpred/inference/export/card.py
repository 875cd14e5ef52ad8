"""The model card of a run: its data, how good it is, how far its attention can be believed, and its limits."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from attnpred.config import compose
from attnpred.config.options import Config
from attnpred.console.tables import number, printable
from attnpred.errors import UserError
from attnpred.files import read_json
from attnpred.inference.export.described import Described
from attnpred.inference.export.licence import of_weights
from attnpred.runs.run import Run

MEASURES = {
    "comprehensiveness": "how much the answer falls when the parts said to matter go; higher is better",
    "sufficiency": "how much it falls when they alone stay; lower is better",
}
Interval = Sequence[float]


def text(run: Run, config: Config, about: Described | None, told: Mapping[str, Any]) -> str:
    """`told`: what check.json holds; `about` is None for a run that is shared as it is."""
    results = _results(run)
    blocks = [
        _head(config, results),
        f"# {compose.file_of(config.model._target_)} on {printable(config.data.name)}",
        _opening(config, about),
        "## Data\n\n" + _data(config),
        "## Results\n\n" + "\n".join(_metrics(results, told)),
        "## Attention\n\n" + _attention(results),
        "## Limits\n\n" + "\n".join(f"- {line}" for line in _limits(run, config, about)),
        "## Licence of the weights\n\n" + _licence(config)[1],
    ]
    if told:
        blocks.insert(-1, "## Checked\n\n" + "\n".join(_checked(told)))
    return "\n\n".join(blocks) + "\n"


def _results(run: Run) -> dict[str, Any]:
    """What metrics.json says; nothing where training did not get so far."""
    try:
        found = read_json(run.path / "metrics.json")
    except UserError:
        return {}
    return found if isinstance(found, dict) else {}


def _head(config: Config, results: Mapping[str, Any]) -> str:
    """What the hub reads of a card."""
    values: dict[str, Any] = {
        "library_name": "attnpred",
        "tags": ["attnpred", compose.file_of(config.task._target_), compose.file_of(config.model._target_)],
    }
    if (licence := _licence(config)[0]) is not None:
        values["license"] = licence
    metrics = [key for key, value in (results.get("test") or {}).items() if isinstance(value, float)]
    if metrics:
        values["metrics"] = metrics
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---"


def _opening(config: Config, about: Described | None) -> str:
    task = compose.file_of(config.task._target_).replace("_", " ")
    said = f"A model for {task}, trained with attnpred. Beside each answer it says which parts of the input decided it."
    if about is None:
        return f"{said} `attnpred.load` reads it."
    how = "onnxruntime" if about.format == "onnx" else "torch"
    return (
        f"{said} `{about.file}` runs with {how} alone, in {about.precision}. Its outputs are "
        f"{', '.join(f'`{name}`' for name in about.outputs)}; `importance` sums to 1 over the parts of an input."
    )


def _data(config: Config) -> str:
    source = Path(config.data.source).name if Path(config.data.source).is_absolute() else config.data.source
    rows = [["data", config.data.name], ["source", source], ["seed", str(config.seed)]]
    return "\n".join(_table(["what", "value"], rows))


def _metrics(results: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[str]:
    """The test split's numbers, and those of the sample that was checked, with 95 % intervals."""
    test, val = results.get("test") or {}, (results.get("val") or {}).get("best") or {}
    intervals: Mapping[str, Interval] = told.get("metrics") or {}
    names = [name for name, value in {**val, **test, **intervals}.items() if isinstance(value, float | list | tuple)]
    names = [name for name in names if not isinstance(test.get(name), list) or name in intervals]
    rows = [
        [name.replace("_", " "), number(test.get(name)), number(val.get(name)), _interval(intervals.get(name))]
        for name in dict.fromkeys(names)
    ]
    yield from _table(["metric", "test", "validation", "sample of validation (95 % interval)"], rows)
    if (count := test.get("examples")) is not None:
        yield f"\n{count:,} examples of test were read, once."


def _attention(results: Mapping[str, Any]) -> str:
    found = results.get("attention") or {}
    scores: Mapping[str, Mapping[str, Interval]] = found.get("scores") or {}
    if "attention" not in scores:
        return "Its faithfulness was not measured in training; `attnpred explain RUN` measures it."
    chance = scores.get("random") or {}
    rows = [
        [name.replace("_", " "), _interval(value), _interval(chance.get(name)), MEASURES.get(name, "higher is better")]
        for name, value in scores["attention"].items()
    ]
    table = "\n".join(_table(["measure", "attention", "chance", "meaning"], rows))
    return (
        f"Measured on {found.get('examples', 0):,} examples, by taking parts away ({found.get('removal')}).\n\n{table}"
    )


def _limits(run: Run, config: Config, about: Described | None) -> Iterator[str]:
    specs: list[Any] = list(run.reader().specs.values())
    for spec in specs:
        if hasattr(spec, "max_length"):
            yield f"It reads {spec.max_length} tokens at most; of longer texts the rest is left out."
        if hasattr(spec, "height"):
            yield f"Images are brought to {spec.height} by {spec.width} pixels."
        if hasattr(spec, "length"):
            yield f"It reads {spec.length} moments of each series."
    data = printable(config.data.name)
    yield f"It knows nothing but what {data} shows; on other data its answers may be wrong and sure."
    yield "Attention says what the model looked at, not why something is so."
    if about is not None and about.format == "torch":
        yield "A program of torch.export can hold code: read one from people you trust alone."


def _checked(told: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"On {told['examples']:,} examples of validation {told['agreement']:.1%} of the answers are those of the run. "
        f"Numbers of answers differ by {told['largest_difference']:.1e} of the largest at most, shares of attention by "
        f"{told['largest_attention_difference']:.1e}."
    )
    if "quantised" in told:
        found = told["quantised"]
        yield ""
        names = list(found["metrics"]["now"])
        rows = [
            ["size, MiB", *(f"{found['bytes'][key] / 2**20:.1f}" for key in ("float32", "now"))],
            ["examples a second", *(number(found["examples_per_second"][key]) for key in ("float32", "now"))],
            *([name, *(number(found["metrics"][key][name]) for key in ("float32", "now"))] for name in names),
            *(
                [f"attention: {name}", *(_interval(found["faithfulness"][key][name]) for key in ("float32", "now"))]
                for name in found["faithfulness"]["now"]
            ),
        ]
        yield from _table(["", "float32", "this file"], rows)


def _licence(config: Config) -> tuple[str | None, str]:
    source = config.model.tokenizer_source() or getattr(config.model, "source", None)
    if source is None:
        return None, "Trained from random weights: nobody else's licence holds for them."
    name = Path(source).name if Path(source).is_absolute() else source
    licence = of_weights(source)
    if licence is None:
        return (
            None,
            f"Fine-tuned from `{name}`, whose licence is not known here. Look it up before you share.",
        )
    return licence, f"Fine-tuned from `{name}`, which is under {licence}."


def _interval(value: Interval | None) -> str:
    if value is None:
        return ""
    mean, low, high = value
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells)]
