"""Small datasets in the hub's layout, made on the spot, with classes that a small model can tell apart."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from attnpred.config.options import DataConfig
from attnpred.config.schema import build
from attnpred.contracts import Attention
from attnpred.data.class_target import ClassTarget
from attnpred.modalities.text.reader import TextReader

if TYPE_CHECKING:
    from attnpred.modalities.image.data import ImageData, ImageDataConfig
    from attnpred.modalities.text.data import TextData, TextDataConfig

CLASSES = ("bad", "good")
WORDS = {0: ("awful", "dull", "boring", "worst"), 1: ("great", "lovely", "brilliant", "best")}
FILLERS = ("the", "film", "was", "and", "a", "plot", "actor", "scene", "with", "quite", "very", "story")
LONG = " ".join(FILLERS * 10)


def text_rows(count: int, *, seed: int = 0, longest: int = 30) -> tuple[list[str], list[int]]:
    """Texts of filler words among which one or two words tell the label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count).tolist()
    texts = []
    for label in labels:
        words = list(random.choice(FILLERS, random.integers(3, longest + 1)))
        for _ in range(2):
            words.insert(int(random.integers(len(words) + 1)), str(random.choice(WORDS[label])))
        texts.append(" ".join(words).capitalize() + ".")
    return texts, labels


def image_rows(
    count: int, *, seed: int = 0, classes: int = 2, size: tuple[int, int] = (8, 8), channels: int = 3
) -> tuple[list[np.ndarray], list[int]]:
    """Noisy images, (height, width, channels) uint8, in which a bright bar stands at a place that tells the label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count).tolist()
    images = random.integers(0, 90, (count, *size, channels), np.uint8)
    for image, label in zip(images, labels, strict=True):
        start = label * size[1] // classes
        image[:, start : start + max(1, size[1] // classes)] += 120
    return list(images), labels


def make_text_source(
    directory: Path,
    sizes: Mapping[str, int] | None = None,
    *,
    rows: Mapping[str, tuple[Sequence[Any], Sequence[Any]]] | None = None,
    classes: Sequence[str] | None = CLASSES,
    subset: str = "plain_text",
    columns: tuple[str, str] = ("text", "label"),
    evidence: Mapping[str, Sequence[Any]] | None = None,
) -> Path:
    """A source with a split a key: of so many `text_rows`, or of the (texts, labels) given as `rows`.

    With `evidence`, a column of that name for each split, the labels have no class names.
    """
    if rows is None:
        rows = {name: text_rows(n, seed=i) for i, (name, n) in enumerate((sizes or {"train": 120, "test": 40}).items())}
    tables = {name: {columns[0]: list(texts), columns[1]: list(labels)} for name, (texts, labels) in rows.items()}
    classes = _add_evidence(tables, classes, evidence)
    return _write(directory, tables, {columns[0]: {"dtype": "string", "_type": "Value"}}, columns[1], classes, subset)


def make_image_source(
    directory: Path,
    sizes: Mapping[str, int] | None = None,
    *,
    rows: Mapping[str, tuple[Sequence[np.ndarray], Sequence[Any]]] | None = None,
    classes: Sequence[str] | None = CLASSES,
    subset: str = "plain_text",
    columns: tuple[str, str] = ("img", "label"),
    size: tuple[int, int] = (8, 8),
    channels: int = 3,
    evidence: Mapping[str, Sequence[Any]] | None = None,
) -> Path:
    """As `make_text_source`, of `image_rows` saved as PNG."""
    if rows is None:
        made = enumerate((sizes or {"train": 120, "test": 40}).items())
        like: dict[str, Any] = {"classes": len(classes or CLASSES), "size": size, "channels": channels}
        rows = {name: image_rows(n, seed=i, **like) for i, (name, n) in made}
    tables = {
        name: {columns[0]: [{"bytes": png(i), "path": None} for i in images], columns[1]: list(labels)}
        for name, (images, labels) in rows.items()
    }
    classes = _add_evidence(tables, classes, evidence)
    return _write(directory, tables, {columns[0]: {"_type": "Image"}}, columns[1], classes, subset)


def _add_evidence(
    tables: Mapping[str, dict[str, list[Any]]],
    classes: Sequence[str] | None,
    evidence: Mapping[str, Sequence[Any]] | None,
) -> Sequence[str] | None:
    for name, values in (evidence or {}).items():
        tables[name]["evidence"] = list(values)
    return classes if evidence is None else None


def png(image: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1:] == (1,) else image).save(file, "png")
    return file.getvalue()


def _write(
    directory: Path,
    tables: Mapping[str, Mapping[str, list[Any]]],
    features: dict[str, Any],
    label_column: str,
    classes: Sequence[str] | None,
    subset: str,
) -> Path:
    (directory / subset).mkdir(parents=True, exist_ok=True)
    if classes is not None:
        features = {**features, label_column: {"names": list(classes), "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if classes is not None else None
    lines = []
    for name, columns in tables.items():
        pq.write_table(
            pa.table(dict(columns)).replace_schema_metadata(metadata),
            directory / subset / f"{name}-00000-of-00001.parquet",
        )
        lines.append(f"  - {{split: {name}, path: {subset}/{name}-*}}\n")
    card = f"---\nconfigs:\n- config_name: {subset}\n  data_files:\n{''.join(lines)}---\n"
    (directory / "README.md").write_text(card)
    return directory


def text_config(source: Path | str, cache: Path, **changes: Any) -> "TextDataConfig":
    """Options for a made text source; `changes` may set any, those of `tokenizer` by a mapping."""
    values: dict[str, Any] = {
        **common(source, cache),
        "_target_": "attnpred.modalities.text.data.TextData",
        "text_column": "text",
        "strip_html": False,
        "max_length": 24,
        "truncate": "both",
        "word_dropout": 0.0,
        "token_budget": None,
        "tokenizer": {"kind": "wordpiece", "vocab_size": 200, "lowercase": True},
    }
    return _build(values, changes)


def image_config(source: Path | str, cache: Path, **changes: Any) -> "ImageDataConfig":
    """Options for a made image source; `changes` may set any, those of `augment` by a mapping."""
    values: dict[str, Any] = {
        **common(source, cache),
        "_target_": "attnpred.modalities.image.data.ImageData",
        "image_column": "img",
        "test_flip": False,
        "augment": {"crop": 0, "flip": False, "cutout": 0, "mixup": 0.0, "cutmix": 0.0},
    }
    return _build(values, changes)


def text_data(config: "TextDataConfig", **given: Any) -> "TextData":
    """The texts of a classification task."""
    from attnpred.modalities.text.data import TextData

    return TextData(config, ClassTarget(*config.target_columns("class")), **given)


def image_data(config: "ImageDataConfig", **given: Any) -> "ImageData":
    """The images of a classification task."""
    from attnpred.modalities.image.data import ImageData

    return ImageData(config, ClassTarget(*config.target_columns("class")), **given)


def _build(values: dict[str, Any], changes: dict[str, Any]) -> Any:
    for name, value in changes.items():
        values[name] = {**values[name], **value} if isinstance(value, dict) else value
    return build(DataConfig, values, "data")


def common(source: Path | str, cache: Path) -> dict[str, Any]:
    return {
        "name": "made",
        "source": str(source),
        "subset": None,
        "revision": None,
        "rows": None,
        "label_column": "label",
        "evidence_column": None,
        "train_split": "train",
        "on_bad_row": "fail",
        "val_split": None,
        "test_split": "test",
        "val_fraction": 0.1,
        "test_fraction": 0.1,
        "split_seed": 0,
        "batch_size": 8,
        "eval_batch_size": 16,
        "cache_dir": str(cache),
    }


def tokens_of(reader: TextReader, texts: list[str]) -> list[list[int]]:
    """New texts' tokens, special ones included, in the order given."""
    found = {}
    for reading in reader.readings(texts, 64):
        read = reading.batch.input
        rows = zip(reading.batch.ids.tolist(), read.tokens.tolist(), read.lengths, strict=True)
        found |= {place: tokens[:length] for place, tokens, length in rows}
    return [found[place] for place in range(len(texts))]


def explained(reader: TextReader, text: Any, importance) -> dict:
    importance = torch.tensor([list(importance)], dtype=torch.float32)
    [found] = next(reader.readings([text], 1)).describe(Attention(importance))
    return found
