"""New input as a service is sent it, in JSON: nothing in it names a file, and no picture is too large."""

import base64
import binascii
import io
import warnings
from collections.abc import Mapping
from typing import Any

from attnpred.errors import BadInput

MOST_PIXELS = 30_000_000  # of a picture that somebody sends
SHOWN = 40  # characters of a value in a message


class Received(dict[str, Any]):
    """Several inputs by name, each as its reader took it: no text in it is looked for among files."""


def text(value: Any, position: int, *, words: bool = False, names: tuple[str, ...] = ()) -> Any:
    """A text; where a model reads `words` also a list of them; where it reads several texts, those by name."""
    listed = words and isinstance(value, list) and all(isinstance(one, str) for one in value)
    if isinstance(value, str) or listed or (names and isinstance(value, Mapping)):
        return value
    wanted = "a text or a list of words" if words else f"an object of {', '.join(names)}" if names else "a text"
    raise BadInput(f"{shown(value)}: the model reads {wanted}; send that", position)


def content(value: Any, position: int, what: str) -> bytes:
    """A file's content, of base64 or of a data URL; bytes as they are."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes):  # as tables hold pictures
        return bytes(value["bytes"])
    if isinstance(value, str):
        given = value.partition(",")[2] if value.startswith("data:") else value
        try:
            return base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise BadInput(f"{shown(value)}: the model reads {what}; send the file's content in base64", position)


def picture(value: Any, position: int) -> bytes:
    """A picture's file, whose head says that it is not too large; the rest of it is not read yet."""
    from PIL import Image

    found = content(value, position, "pictures")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(found)) as image:
                width, height = image.size
    except Exception as error:  # of any type, by what is damaged
        raise BadInput(
            f"no picture that can be read ({shown(error)}); send the content of an image file", position
        ) from None
    if width * height > MOST_PIXELS:
        raise BadInput(f"a picture of {width:,} × {height:,} pixels; send one of at most {MOST_PIXELS:,}", position)
    return found


def numbers(value: Any, position: int) -> Any:
    """Rows of numbers, or columns by name."""
    if isinstance(value, list | tuple | Mapping):
        return value
    raise BadInput(f"{shown(value)}: the model reads series; send rows of numbers, or columns by name", position)


def shown(value: Any) -> str:
    """Some of a value that may be huge, for a message."""
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else "a list"
    said = " ".join(str(value)[: 2 * SHOWN].split())
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}…"
