"""A page in one HTML file, which asks the network for nothing and trusts no text that it shows.

What it shows is plain data, embedded as JSON under the id `story`. Style and scripts are files in an `assets` folder,
of the page's own package or of this one. A template has places for `{{title}}`, `{{policy}}`, `{{style}}`, `{{script}}`
and `{{story}}`. It begins with `{{head}}`, which all pages share, as they share `{{theme}}`, the choice of colours.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from attnpred.errors import UserError

OURS = "attnpred.pages"


def fill(
    package: str,
    template: str,
    title: str,
    styles: Sequence[str],
    scripts: Sequence[str],
    story: Any,
    *,
    connect: bool = False,
) -> str:
    """The whole page; `story` holds no NaN. With `connect` it may ask the server that it comes from."""
    style, script = (assets(package, *names) for names in (styles, scripts))
    parts = {
        "title": html.escape(title),
        "policy": "; ".join(
            [
                "default-src 'none'",
                "img-src data:",
                f"style-src {_digest(style)}",
                f"script-src {_digest(script)}",
                *(["connect-src 'self'"] if connect else []),
                "base-uri 'none'",
                "form-action 'none'",
                # even a careless change of the script could then make no element out of text
                "require-trusted-types-for 'script'",
                "trusted-types 'none'",
            ]
        ),
        "style": style,
        "script": script,
        "story": _embedded(story),
    }
    whole = assets(package, template)
    for shared in ("head", "theme"):
        whole = whole.replace(f"{{{{{shared}}}}}\n", assets(OURS, f"{shared}.html"))
    # in one pass, so that nothing in a part is taken for a place of another
    filled = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], whole)
    return re.sub("[\ud800-\udfff]", "\ufffd", filled)  # half a character, which no file can hold


def write_page(file: Path, page: str | bytes, flag: str) -> None:
    """`flag` is what the user named the file by."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(page if isinstance(page, bytes) else page.encode("utf-8"))
    except (OSError, ValueError) as error:  # ValueError for a name that none can have
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{flag} {file}: cannot be written ({reason}); name another file") from None


def assets(package: str, *names: str) -> str:
    """The files' text, one after the other."""
    folders = [files(place) / "assets" for place in (package, OURS)]
    found = [next(folder / name for folder in folders if (folder / name).is_file()) for name in names]
    return "\n".join(file.read_text(encoding="utf-8") for file in found)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _embedded(value: Any) -> str:
    """JSON that cannot end the script element around it, nor a line in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)
