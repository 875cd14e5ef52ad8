"""The options that every dataset has, of tokenizers and of augmentation."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from attnpred.config.schema import Invalid, option

Modality = str  # the name of a folder of attnpred/modalities
NAME = re.compile(r"\w[\w.-]{0,63}")
# Sizes beyond which a number can only be a mistake
MOST_FEATURES, MOST_EXAMPLES = 65_536, 1_000_000
NEEDS_ALL = "needs to know all rows before, which data.stream=true does not; leave it out"
ITSELF = "itself"  # the kind of target that every dataset has: the input, parts of which a task hides
AUTO = "auto"  # a split that the source may have or not


@dataclass(kw_only=True)
class DataConfig:
    """The options of every dataset; each kind of data adds its own."""

    modality: ClassVar[Modality]
    finds_class: ClassVar[bool] = True  # whether a column of classes is looked for where label_column names none

    _target_: str = option("Class that prepares and batches the data.")
    name: str = option("Short name, used in the run directory's name.")
    source: str = option(
        "Hub id, a local directory in the hub's layout, a folder with a folder a class, builtin:NAME, or a file, "
        "several by a pattern. Files are CSV, TSV, JSON lines, Parquet, Arrow or CoNLL."
    )
    subset: str | None = option("Configuration of the dataset on the hub.", default=None)
    revision: str | None = option("Hub revision to pin; null takes the newest.", default=None)
    rows: int | None = option(
        "Rows to generate, of built-in data that is generated; null for any other.",
        ge=1,
        le=1_000_000_000,
        default=None,
    )
    label_column: str | list[str] | None = option(
        "Column that holds the target; several, where the task reads several. null finds it by name and content."
    )
    targets: dict[str, Any] | None = option(
        "Columns of targets of other kinds than label_column's, by kind: number for regression, labels for "
        "multilabel, tags for tagging. Of a kind's null, the column is found by name and content. With null "
        "label_column holds whatever the task reads.",
        default=None,
    )
    sampling: Literal["all", "balanced"] = option(
        "Which rows an epoch trains on: all, or as many drawn at random, such that every class comes equally often.",
        default="all",
    )
    evidence_column: str | None = option(
        "Column that says where in the example its label was decided: [start, end) characters, or boxes in pixels.",
        default=None,
    )
    on_bad_row: Literal["fail", "skip"] = option(
        "What becomes of lines that are no rows, and of rows without label, text, group or time. Also of images that "
        "cannot be read or have another size.",
        default="fail",
    )
    paths_outside: bool = option(
        "Whether rows may name pictures by paths that lead out of the source's own directory.", default=False
    )
    train_split: str = option("Split of the source to train on; several with a + between.", default="train")
    val_split: str | None = option(
        "Split to validate on; null carves it from train, auto does so where the source has none.", default=None
    )
    test_split: str | None = option(
        "Split to test on; null carves it from train, auto does so where the source has none.", default=None
    )
    split_column: str | None = option(
        "Column whose values name each row's split, where the source has one split alone.", default=None
    )
    group_column: str | None = option(
        "Column of what must not be on both sides of train, validation and test, such as the patient. Parts are carved "
        "by it; splits of the source's own are held against it.",
        default=None,
    )
    time_column: str | None = option(
        "Column of numbers or dates: train has the earliest rows, then come validation and test. Parts are carved by "
        "it; splits of the source's own are held against it.",
        default=None,
    )
    folds: int | None = option(
        "Folds of cross-validation: train's rows are cut into so many, one of which is validation.",
        ge=2,
        le=1000,
        default=None,
    )
    fold: int | None = option("Which of the folds is validation, from 0 on.", ge=0, lt=1000, default=None)
    val_fraction: float = option("Share of train carved out for validation.", gt=0, lt=1, default=0.1)
    test_fraction: float = option("Share of train carved out for test.", gt=0, lt=1, default=0.1)
    split_seed: int = option(
        "Seed of the carving, apart from `seed` so that every run has the same splits.", ge=0, default=0
    )
    test_limit: int | None = option(
        "Rows of the test part that are measured, drawn by `split_seed`, of each class its share; null for all.",
        ge=1,
        le=1_000_000_000,
        default=None,
    )
    labelled: int | None = option(
        "Rows of the train part that keep their labels, as many of each class as is its share; null for all. What the "
        "others say of the input may be used.",
        ge=1,
        le=1_000_000_000,
        default=None,
    )
    labelled_seed: int = option("Seed by which they are drawn.", ge=0, le=2**32 - 1, default=0)
    batch_size: int = option("Examples a training batch and device.", ge=1, le=MOST_EXAMPLES, default=32)
    eval_batch_size: int = option(
        "Examples a batch in validation, test and prediction; of texts at most, and then of the longest.",
        ge=1,
        le=MOST_EXAMPLES,
        default=128,
    )
    cache_dir: str = option("Where prepared data is kept; ~ is the home directory.", default="~/.cache/attnpred")
    augment_with: list[str] = option(
        "Dotted names of functions of a package, of batch and epoch, that change training batches, one after another.",
        default=[],
    )

    def target_columns(self, reads: str) -> tuple[list[str], str] | None:
        """The columns of the kind of target that a task `reads`, and the option that names them; None for none."""
        if reads == ITSELF:
            return [], "data.text_column"
        if self.targets is None or (reads == "class" and reads not in self.targets):
            found, option_name = self.label_column, "data.label_column"
        elif reads in self.targets:
            found, option_name = self.targets[reads], f"data.targets.{reads}"
        else:
            return None
        return ([found] if isinstance(found, str) else list(found or [])), option_name

    def split_of(self, split: str) -> str | None:
        """The source's own split that is `val`, `test` or `train`; None where it is carved."""
        own: str | None = {"train": self.train_split, "val": self.val_split, "test": self.test_split}[split]
        return None if own == AUTO and split != "train" else own

    def settled_by(self, sample: Callable[[], dict[str, list[Any]]], reads: str) -> Self | None:
        """The same options with the columns named that a task needs, where a kind of data tells them by itself.

        `sample` reads the first rows.
        """
        return None

    def mirrors(self) -> bool:
        """True where evaluation looks at each example and its mirror image."""
        return False

    def streams(self) -> bool:
        """True where training reads rows as they come, and prepares none."""
        return False

    def resizes(self) -> bool:
        """True where training shows images of several sizes."""
        return False

    def check(self) -> None:
        if not self.source.strip():
            raise Invalid("source", "names nothing; give a hub id, a file or a directory")
        if not self.cache_dir.strip():
            raise Invalid("cache_dir", f"names no directory; give one, such as {DataConfig.cache_dir}")
        if self.label_column in ("", []):
            raise Invalid("label_column", "names no column; give one, or a list of them")
        for columns in (self.targets or {}).values():
            several = columns if isinstance(columns, list) else [columns] if columns is not None else []
            if columns == [] or not all(isinstance(name, str) and name for name in several):
                raise Invalid("targets", "each kind needs the name of its column, or a list of names")
        if not NAME.fullmatch(self.name):
            raise Invalid("name", "becomes part of a directory's name; use letters, digits, _, - and .")
        self._check_carving()

    def _check_carving(self) -> None:
        if self.group_column is not None and self.time_column is not None:
            raise Invalid("time_column", "rows are carved by group or by time, not by both; set one of them to null")
        if self.folds is None and self.fold is not None:
            raise Invalid("fold", "of how many folds? set data.folds, or leave this at null")
        if self.folds is not None and self.fold is None:
            raise Invalid(
                "folds", f"name one by data.fold=0, or go through them all: train -m 'data.fold=range({self.folds})'"
            )
        if self.folds is not None and self.fold is not None and self.fold >= self.folds:
            raise Invalid("fold", f"there are {self.folds} folds; choose 0 to {self.folds - 1}")
        if self.folds is not None and self.split_of("val") is not None:
            raise Invalid("folds", "a fold is validation; set data.val_split=null, or leave this at null")
        of_val = self.val_fraction * (self.split_of("val") is None and self.folds is None)
        if of_val + self.test_fraction * (self.split_of("test") is None) >= 1:
            raise Invalid("val_fraction", "carving validation and test leaves nothing to train on; lower the fractions")


@dataclass(kw_only=True)
class StreamedDataConfig(DataConfig):
    """The options of kinds of data that can be trained on as they are read."""

    stream: bool = option(
        "Train on rows as they are read from the source, of any number; none of them is prepared or kept.",
        default=False,
    )
    stream_rows: int | None = option(
        "Rows of a streamed epoch; null counts them once, which reads the source.", ge=1, le=10**13, default=None
    )
    stream_buffer: int = option(
        "Streamed rows that are shuffled together; classes and a vocabulary are found in the first ones.",
        ge=1,
        le=10_000_000,
        default=20_000,
    )

    def streams(self) -> bool:
        return self.stream

    def check(self) -> None:
        super().check()
        odd = {
            "evidence_column": self.evidence_column is not None,
            "sampling": self.sampling != "all",
            "folds": self.folds is not None,
            "labelled": self.labelled is not None,
            "on_bad_row": self.on_bad_row != "fail",
        }
        for name in (name for name, given in odd.items() if given and self.stream):
            raise Invalid(name, NEEDS_ALL)


@dataclass(kw_only=True)
class TokenizerConfig:
    """The tokenizer that is trained on the train split, for models that bring none."""

    kind: Literal["wordpiece", "bpe", "unigram", "word"] = option("Algorithm that finds the vocabulary.")
    vocab_size: int = option("Entries in the vocabulary, special ones included.", ge=16, le=10_000_000)
    lowercase: bool = option("Lower-case before splitting.")


@dataclass(kw_only=True)
class AugmentConfig:
    """Changes made to training images, on whole batches; 0 switches one off."""

    crop: int = option("Pixels of padding from which a shifted crop is taken.", ge=0, le=MOST_FEATURES, default=0)
    flip: bool = option("Mirror left and right, in every other epoch; half of the images in each.", default=False)
    random_crop: float = option(
        "Least share of an image's area that a random crop of random shape keeps, brought to the full size.",
        ge=0,
        lt=1,
        default=0.0,
    )
    rand_ops: int = option("RandAugment: how many changes, drawn at random, each image gets.", ge=0, le=20, default=0)
    rand_magnitude: int = option("RandAugment: how strong they are.", ge=0, le=30, default=9)
    jitter: float = option(
        "Largest share by which brightness, contrast and saturation change; hue by a quarter of it.",
        ge=0,
        le=1,
        default=0.0,
    )
    cutout: int = option("Side in pixels of the square that is blanked.", ge=0, le=MOST_FEATURES, default=0)
    erasing: float = option("Share of the images of which a random rectangle is blanked.", ge=0, le=1, default=0.0)
    mixup: float = option("Strength alpha of blending two images and their targets.", ge=0, default=0.0)
    cutmix: float = option("Strength alpha of pasting a patch of another image.", ge=0, default=0.0)
    small_share: float = option(
        "Share of the epochs, the first ones, that see images brought to `small_side`.", ge=0, lt=1, default=0.0
    )
    small_side: int | None = option(
        "Their smaller side in pixels: fewer take less time.", ge=4, le=MOST_FEATURES, default=None
    )

    def any(self) -> bool:
        """True where anything is switched on."""
        return any(value for name, value in vars(self).items() if name != "rand_magnitude")

    def check(self) -> None:
        if self.small_share and self.small_side is None:
            raise Invalid("small_share", "needs data.augment.small_side, in pixels")
        if self.small_side is not None and not self.small_share:
            raise Invalid("small_side", "needs data.augment.small_share, the share of the epochs that see it")
