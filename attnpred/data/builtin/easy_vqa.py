"""easy-VQA: questions about images of one coloured shape, as the package easy-vqa ships them (MIT).

The column split names train or test; image_id binds the questions of one image.
"""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnpred.errors import NotInstalled

CLASSES = (
    *("black", "blue", "brown", "circle", "gray", "green", "no", "rectangle", "red", "teal", "triangle", "yellow"),
    "yes",
)


def rows() -> Iterator[dict[str, Any]]:
    found = importlib.util.find_spec("easy_vqa")  # its code is not run
    if found is None or found.origin is None:
        raise NotInstalled("data=easy_vqa", "easy-vqa", "vqa")
    folder = Path(found.origin).parent / "data"
    for split in ("train", "test"):
        questions = json.loads((folder / split / "questions.json").read_text(encoding="utf-8"))
        content: dict[int, bytes] = {}
        for question, answer, image in questions:
            if image not in content:
                content = {image: (folder / split / "images" / f"{int(image)}.png").read_bytes()}
            yield {
                "question": question,
                "image": {"bytes": content[image], "path": None},
                "label": CLASSES.index(answer),
                "split": split,
                "image_id": f"{split} {image}",
            }
