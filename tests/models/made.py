"""Small models, specifications and batches, and every combination of options that a contract must hold for."""

import importlib
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
import yaml

from attnpred.config.options import ModelConfig, TaskConfig
from attnpred.config.schema import build
from attnpred.contracts import AnswerSpec, Batch, InputSpec, ModelSpec, TargetSpec
from attnpred.data.class_target import Classes
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.modalities.series.batch import SeriesInput, SeriesSpec
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.modalities.words.batch import WordsInput, WordsSpec
from attnpred.models.base import Model
from attnpred.tasks.base import Task

CONF = Path(__file__).parents[2] / "conf" / "model"
WORDS = ("the", "film", "was", "and", "a", "plot", "awful", "dull", "boring", "worst", "great", "lovely", "best")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CHARACTERS = tuple("abcdefghijklmnopqrstuvwxyz0123456789.,!?'\"-()")
VOCABULARY = (*SPECIAL, *CHARACTERS, *(f"##{c}" for c in CHARACTERS), *(w for w in WORDS if len(w) > 1))
PAD, CLS, SEP, MASK = 0, 2, 3, 4
LENGTH = 13  # of the longest text in a batch: no other size in these models

TEXT = TextSpec(
    vocab_size=len(VOCABULARY),
    max_length=24,
    pad_id=PAD,
    mask_id=MASK,
    prefix=(CLS,),
    suffix=(SEP,),
    spelled={number: token for number, token in enumerate(VOCABULARY) if token not in SPECIAL},
)
PAIR = replace(TEXT, names=("premise", "hypothesis"), between=(SEP,))
WORDED = WordsSpec(**{**TEXT.as_dict(), "modality": "words"}, spelled=TEXT.spelled)
IMAGE = ImageSpec(channels=3, height=16, width=8, mean=(120.0, 110.0, 100.0), std=(60.0, 50.0, 40.0))
SERIES = SeriesSpec(length=16, names=("a", "b", "c"), mean=(0.0, 1.0, 2.0), deviation=(1.0, 2.0, 3.0))
CLASSES = {
    "text": Classes(classes=("bad", "good"), counts=(2, 2)),
    "image": Classes(classes=("a", "b", "c"), counts=(2, 2, 0)),
    "series": Classes(classes=("down", "up"), counts=(2, 2)),
}
# of models that are large by default, what makes them small
SMALL: dict[str, dict[str, Any]] = {
    "resnet_attention": {"width": 8, "depth": 1, "heads": 2},
    "transformer": {"width": 16, "depth": 2, "heads": 2, "mlp_ratio": 2.0},
    "bert": {},
    "linear": {"block": 4},
    "recurrent": {"width": 8},
    "tcn": {"width": 8, "depth": 2},
    "vision": {"source": "torchvision/shufflenet_v2_x0_5", "pretrained": False, "resize": 64},
}
RECURRENT = (("text", "gru", 1), ("text", "gru", 2), ("series", "lstm", 1))
POOLINGS = ("attention", "cls", "mean")


def make_config(name: str, **changes: Any) -> Any:
    """The shipped options of a model, with some changed."""
    values = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    for entry in values.pop("defaults", []):
        [(key, file)] = entry.items()
        kind = key.removeprefix("/model@encoders.")  # of a model that others are part of
        if kind != key:
            other = yaml.safe_load((CONF / f"{file}.yaml").read_text(encoding="utf-8"))
            other.pop("defaults", None)
            values.setdefault("encoders", {})[kind] = other
    return build(ModelConfig, {**values, **changes}, "model")


def _shipped() -> list[tuple[str, str]]:
    """Every model of the configuration that gives one answer an example, with each modality that it accepts."""
    configs = {file.stem: make_config(file.stem) for file in sorted(CONF.glob("*.yaml"))}
    return [
        (name, modality)
        for name, config in configs.items()
        if "whole" in config.answers
        for modality in config.accepts
        if modality in CLASSES
    ]


MODELS = _shipped()
# Those that give an answer a part, with each modality that is made here
PARTED = [
    (file.stem, modality)
    for file in sorted(CONF.glob("*.yaml"))
    if "parts" in (config := make_config(file.stem)).answers
    for modality in config.accepts
    if modality in ("text", "words", "image")
]
# Combinations of options; of models that none is given for, the contract must hold for the defaults
CASES: list[tuple[str, str, dict[str, Any]]] = [
    *(
        ("resnet_attention", "image", {"attention": a, "pooling": p})
        for a, p in product(("none", "se", "cbam", "self"), ("attention", "mean"))
    ),
    *(("resnet_attention", "image", {"block": "plain", "attention": a}) for a in ("none", "cbam", "self")),
    ("resnet_attention", "image", {"block": "plain", "around": True, "depth": 2, "attention": "se"}),
    *(
        ("transformer", m, {"positions": o, "pooling": p})
        for m, o, p in product(("text", "image"), ("learned", "sinusoidal", "rotary"), POOLINGS)
    ),
    *(("transformer", "text", {"ngrams": n, "pooling": p}) for n, p in ((1, "cls"), (3, "attention"))),
    ("transformer", "text", {"letters": 4, "pooling": "attention"}),
    ("transformer", "text", {"ngrams": 2, "letters": 5, "pooling": "cls"}),
    *(("bert", "text", {"pooling": p}) for p in POOLINGS),
    *(("transformer", "series", {"pooling": p, "mixing": m}) for p, m in product(("attention", "mean"), (False, True))),
    ("transformer", "series", {"patch": 6, "stride": 2, "positions": "learned", "norm": "last"}),
    ("linear", "series", {"norm": "none", "block": 1}),
    *(("recurrent", m, {"cell": c, "directions": d, "pooling": "mean"}) for m, c, d in RECURRENT),
    ("recurrent", "text", {"depth": 2, "ngrams": 2, "letters": 4}),
    ("tcn", "series", {"separable": True, "pooling": "mean", "norm": "none"}),
    *(
        (n, m, {"attention_loss": "faithful", "pooling": p})
        for n, m, p in (("resnet_attention", "image", "mean"), ("transformer", "text", "mean"), ("bert", "text", "cls"))
    ),
    ("transformer", "text", {"attention_loss": "faithful", "ngrams": 2, "pooling": "mean"}),
]
CASES += [(name, modality, {}) for name, modality in MODELS if (name, modality) not in {case[:2] for case in CASES}]
NAMES = ["-".join((name, modality, *map(str, changes.values()))) for name, modality, changes in CASES]


def class_of(config: ModelConfig) -> type[Model]:
    module, _, name = config._target_.rpartition(".")
    return getattr(importlib.import_module(module), name)


def wrapped(spec: InputSpec | ModelSpec, width: int | None = None) -> ModelSpec:
    """What a model is made for: this input, and an answer of so many numbers, or as many as it has classes here."""
    if isinstance(spec, ModelSpec):
        return spec
    return ModelSpec({spec.modality: spec}, AnswerSpec(width or len(CLASSES[spec.modality].classes)))


def make_model(name: str, spec: InputSpec | ModelSpec, **changes: Any) -> Model:
    """A small model with stirred weights, ready to predict: what starts at zero would hide what it does."""
    torch.manual_seed(0)
    config = make_config(name, **{**SMALL.get(name, {}), **changes})
    model = class_of(config)(config, wrapped(spec))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model.eval()


def make_task(spec: TargetSpec = CLASSES["text"], name: str = "classification", **changes: Any) -> Task:
    """A task with its shipped options, some changed, for a target."""
    values = yaml.safe_load((CONF.parent / "task" / f"{name}.yaml").read_text(encoding="utf-8"))
    config = build(TaskConfig, {**values, **changes}, "task")
    module, _, kind = config._target_.rpartition(".")
    task: Task = getattr(importlib.import_module(module), kind)(config, spec)
    return task


def text_batch(lengths: tuple[int, ...] = (LENGTH, 3, 2, 8), *, seed: int = 0) -> Batch:
    """Random words between [CLS] and [SEP]; the third of the usual texts is empty."""
    random = torch.Generator().manual_seed(seed)
    tokens = torch.full((len(lengths), max(lengths)), PAD)
    for row, length in enumerate(lengths):
        tokens[row, :length] = torch.randint(len(SPECIAL), len(VOCABULARY), (length,), generator=random)
        tokens[row, 0], tokens[row, length - 1] = CLS, SEP
    texts = TextInput(
        tokens=tokens, lengths=torch.tensor(lengths), padded=min(lengths) < max(lengths), prefix=1, suffix=1
    )
    return as_batch(texts)


def pair_batch(counts: tuple[tuple[int, int], ...] = ((6, 4), (1, 2), (3, 3), (2, 5)), *, seed: int = 0) -> Batch:
    """Two texts of so many random words a row, as [CLS] first [SEP] second [SEP]."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([first + second + 3 for first, second in counts])
    tokens = torch.full((len(counts), int(lengths.max())), PAD)
    segments = torch.full_like(tokens, -1)
    for row, (first, second) in enumerate(counts):
        end = first + second + 2
        tokens[row, :end] = torch.randint(len(SPECIAL), len(VOCABULARY), (end,), generator=random)
        segments[row, 1 : first + 1], segments[row, first + 2 : end] = 0, 1
        tokens[row, 0], tokens[row, first + 1], tokens[row, end] = CLS, SEP, SEP
    padded = bool((lengths < lengths.max()).any())
    return as_batch(TextInput(tokens=tokens, lengths=lengths, padded=padded, prefix=1, suffix=1, segments=segments))


def words_batch(counts: tuple[tuple[int, ...], ...] = ((1, 3, 2, 1, 3, 1), (1,), (), (2, 1, 2, 1))) -> Batch:
    """Texts of words with so many tokens each: those of `text_batch`, if nothing else is given."""
    batch = text_batch(tuple(sum(row) + 2 for row in counts))
    words = torch.full_like(batch.input.tokens, -1)
    for row, sizes in enumerate(counts):
        numbers = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes, dtype=torch.int64))
        words[row, 1 : 1 + len(numbers)] = numbers
    texts = batch.input
    found = WordsInput(tokens=texts.tokens, lengths=texts.lengths, padded=texts.padded, prefix=1, suffix=1, words=words)
    return as_batch(found, "words")


def image_batch(count: int = 4, spec: ImageSpec = IMAGE) -> Batch:
    shape = (count, spec.channels, spec.height, spec.width)
    pixels = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return as_batch(ImageInput(pixels=pixels), "image")


def series_batch(count: int = 4, spec: SeriesSpec = SERIES) -> Batch:
    values = torch.randn(count, len(spec.names), spec.length, generator=torch.Generator().manual_seed(0))
    return as_batch(SeriesInput(values=values), "series")


def as_batch(only: Any, name: str = "text") -> Batch:
    """A batch of one input, whose examples have the classes 0 and 1 by turns."""
    ids = torch.arange(len(only))
    return Batch(inputs={name: only}, targets={"label": ids % 2}, ids=ids)


def made(modality: str) -> tuple[Any, Batch]:
    """Specification and batch of a modality, or of pairs of texts."""
    known = {
        "text": (TEXT, text_batch),
        "pair": (PAIR, pair_batch),
        "image": (IMAGE, image_batch),
        "words": (WORDED, words_batch),
        "series": (SERIES, series_batch),
    }
    spec, batch = known[modality]
    return spec, batch()


def make_encoder(directory: Path) -> Path:
    """A tiny BERT with random weights and its tokenizer, as `transformers` keeps them."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    numbers = {word: i for i, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", SEP), ("[CLS]", CLS))
    names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    special = {f"{kind}_token": word for kind, word in names.items()}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **special).save_pretrained(directory)
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(VOCABULARY), **small)).save_pretrained(directory)
    return directory
