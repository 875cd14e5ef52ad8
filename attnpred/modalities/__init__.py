"""Kinds of input: a folder each."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnpred.modalities.image.data import ImageReader
    from attnpred.modalities.text.reader import TextReader


def load_reader(directory: Path) -> "TextReader | ImageReader":
    """The reader that was saved into a run directory, of whichever modality."""
    from attnpred.modalities import reader

    if reader.saved_modality(directory) == "text":
        from attnpred.modalities.text.reader import TextReader

        return TextReader.load(directory)
    from attnpred.modalities.image.data import ImageReader

    return ImageReader.load(directory)
