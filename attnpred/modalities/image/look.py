"""A look at images before training: unreadable ones, sizes and colours, near duplicates."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from attnpred.data import twins
from attnpred.data.look import Look
from attnpred.data.places import Outside
from attnpred.data.store import digest
from attnpred.modalities.image.decoding import GREY_MODES, content, opened

SHOWN = 5  # sizes that are listed


class ImageLook(Look):
    MOST_SIGNED: ClassVar[int] = 10_000

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._sizes: Counter[str] = Counter()
        self._signed: list[int] = []
        self._signatures: list[int] = []

    def add(self, columns: Sequence[list[Any]]) -> list[bool]:
        (images,) = columns
        usable: list[bool] = []
        start = len(self.digests)
        for value in images:
            row = len(self.digests)
            try:
                content = self._content(value)
                self.digests.append(digest([content]))
                if len(self._signed) < self.MOST_SIGNED:
                    self._see(row, value)
                usable.append(True)
            except Outside:
                self._unread(row, "of elsewhere", "put the files into the source's directory")
            except (OSError, ValueError):
                self._unread(row, "no image that can be read", "set data.on_bad_row=skip, or mend them")
            if len(usable) < len(self.digests) - start:
                usable.append(False)
        return usable

    def _unread(self, row: int, what: str, remedy: str) -> None:
        if len(self.digests) == row:
            self.digests.append(digest([b"no image", row.to_bytes(8, "little")]))
        self.odd(row, what, remedy)

    def _content(self, value: Any) -> bytes:
        if isinstance(value, np.ndarray):
            return value.tobytes()
        held = content(value, self.reach)
        if isinstance(held, bytes):
            return held
        if not held.is_file():
            raise ValueError("is no file")
        return held.read_bytes()

    def _see(self, row: int, value: Any) -> None:
        image = opened(value, self.reach, None)
        self._sizes[f"{image.height} × {image.width} {'grey' if image.mode in GREY_MODES else 'RGB'}"] += 1
        self._signed.append(row)
        self._signatures.append(bits_of(image))

    def near(self) -> Iterator[tuple[int, int]]:
        for one, other in twins.near_by_bits(np.array(self._signatures, np.uint64)) if self._signed else ():
            pair = self._signed[one], self._signed[other]
            if self.digests[pair[0]] != self.digests[pair[1]]:
                yield pair

    def facts(self) -> list[tuple[str, str]]:
        if not self._sizes:
            return []
        listed = ", ".join(f"{size} ({count:,})" for size, count in self._sizes.most_common(SHOWN))
        rest = f", and {len(self._sizes) - SHOWN} more" if len(self._sizes) > SHOWN else ""
        fit = self.config.fitted()
        several = len(self._sizes) > 1 and fit is None
        return [
            ("height × width", listed + rest),
            *([("brought to", f"{fit.height} × {fit.width} (data.size)")] if fit is not None else []),
            *([("to do", "they differ; bring all to one by data.size=64")] if several else []),
        ]


def bits_of(image: Any) -> int:
    """Of 8 × 8 places whether each is brighter than the one to its left, in 64 bits; 0 where the picture is flat."""
    grey = np.asarray(image.convert("L").resize((9, 8)), np.int16)
    return int(np.packbits((grey[:, 1:] > grey[:, :-1]).ravel()).view(np.uint64)[0])


LOOK = ImageLook
