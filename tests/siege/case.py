"""One input: which base it starts from, what is spoilt in that, and what is then asked for. It is JSON throughout."""

import base64
import hashlib
import io
import json
import os
import shutil
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.safety.made import pickled

# ["write", file, text], ["bytes", file, base64], ["splice", file, share, removed, base64], ["put", file, path, value],
# ["drop", file, path], ["remove", file], ["link", file, target], ["pipe", file], ["folder", file],
# ["member", file, name, base64 or null], ["pickle", file], ["table", file, columns, metadata],
# ["trust", directory], ["sign", directory]
Edit = list[Any]


@dataclass(frozen=True)
class Case:
    kind: str
    action: str
    edits: tuple[Edit, ...] = ()
    base: str = ""  # of nothing: an empty directory
    arguments: tuple[str, ...] = ()
    told: str | None = None  # it must be refused, and the answer must name this

    def text(self) -> str:
        return json.dumps({key: value for key, value in asdict(self).items() if value}, indent=1)

    @classmethod
    def of(cls, text: str) -> "Case":
        values = json.loads(text)
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


class Inapplicable(Exception):
    """The thing that shall be spoilt is not there."""


def packed(content: bytes) -> str:
    return base64.b64encode(content).decode()


def apply(case: Case, place: Path, outside: Path, *, strict: bool = False) -> None:
    """Spoils what lies in the place. What was spoilt too much by an edit before is left as it is, unless `strict`."""
    for edit in case.edits:
        try:
            _apply(edit, place, outside)
        except (
            LookupError,
            TypeError,
            ValueError,
            OSError,
            zipfile.BadZipFile,
            yaml.YAMLError,
            RecursionError,
        ) as error:
            if strict:
                raise Inapplicable(f"{edit[:2]}: {type(error).__name__}: {error}") from error


def placed(text: str, place: Path, outside: Path) -> str:
    return text.replace("{outside}", str(outside)).replace("{place}", str(place))


def _apply(edit: Edit, place: Path, outside: Path) -> None:
    what, name, *more = edit
    file = place / name
    if what not in ("put", "drop", "splice", "member", "trust", "sign", "remove"):
        file.parent.mkdir(parents=True, exist_ok=True)
        if what != "folder" and (file.is_symlink() or file.exists()):
            shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
    match what:
        case "write":
            file.write_bytes(placed(more[0], place, outside).encode("utf-8", "surrogatepass"))
        case "bytes":
            file.write_bytes(base64.b64decode(more[0]))
        case "splice" if not file.is_file():
            raise ValueError("there is no file")
        case "splice":
            share, removed, inserted = more
            content = file.read_bytes()
            start = int(share * len(content))
            file.write_bytes(content[:start] + base64.b64decode(inserted) + content[start + removed :])
        case "put" | "drop":
            document = read(file)
            _change(document, more[0], what, _meant(more[1], place, outside) if what == "put" else None)
            write(file, document)
        case "remove":
            shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
        case "link":
            file.symlink_to(placed(more[0], place, outside))
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir(exist_ok=True)
        case "member":
            _member(file, *more)
        case "pickle":
            file.write_bytes(pickled(outside / "ran"))
        case "table":
            _table(file, *more, place=place, outside=outside)
        case "trust":
            found = [one for one in file.glob("*.ckpt") if one.is_file()]
            digests = [hashlib.blake2b(one.read_bytes(), digest_size=16).hexdigest() for one in found]
            (file / "checksums.json").write_text(json.dumps(digests))
        case "sign" if not (file / "tokenizer.json").is_file():
            raise ValueError("there is no tokenizer")
        case "sign":
            digest = hashlib.blake2b((file / "tokenizer.json").read_bytes(), digest_size=16).hexdigest()
            specification = json.loads((file / "spec.json").read_text())
            specification["inputs"]["text"]["reader"]["tokenizer"] = digest
            (file / "spec.json").write_text(json.dumps(specification))
        case _:
            raise ValueError(f"no such edit: {what}")


def read(file: Path) -> Any:
    """A document as plain containers and tensors; of lines, a list."""
    if not file.is_file():
        raise ValueError("there is no file")
    if file.suffix == ".ckpt":
        import torch

        try:
            return torch.load(file, weights_only=True)
        except Exception as error:  # of any type, by what was spoilt before
            raise ValueError("is no checkpoint any more") from error
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".yaml":
        return yaml.safe_load(text)
    return [json.loads(line) for line in text.splitlines()] if _of_lines(file) else json.loads(text)


def write(file: Path, document: Any) -> None:
    if file.suffix == ".ckpt":
        import torch

        torch.save(document, file)
    elif file.suffix == ".yaml":
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
    elif _of_lines(file):
        lines = (json.dumps(one, separators=(",", ":")) for one in document)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    else:
        file.write_text(json.dumps(document), encoding="utf-8")


def _of_lines(file: Path) -> bool:
    return file.suffix in (".jsonl", ".journal")


def _change(document: Any, path: list[Any], what: str, value: Any) -> None:
    *above, last = path
    for part in above:
        document = document[part]
    if what == "drop":
        del document[last]
    elif isinstance(document, list) and last == len(document):
        document.append(value)
    else:
        document[last] = value


def _meant(value: Any, place: Path, outside: Path) -> Any:
    """A value of JSON, in which {"$tensor": …} and {"$bytes": …} stand for what JSON has not."""
    if isinstance(value, str):
        return placed(value, place, outside)
    if isinstance(value, list):
        return [_meant(one, place, outside) for one in value]
    if not isinstance(value, dict):
        return value
    if "$bytes" in value:
        return base64.b64decode(value["$bytes"])
    if "$tensor" in value:
        import torch

        shape, kind, fill = value["$tensor"]
        return torch.tensor(fill, dtype=torch.float64).to(getattr(torch, kind)).expand(shape).clone()
    return {key: _meant(one, place, outside) for key, one in value.items()}


def _member(file: Path, name: str, content: str | None) -> None:
    """Replaces, adds or leaves out what an archive has below its first folder."""
    if not file.is_file():
        raise ValueError("there is no file")
    with zipfile.ZipFile(file) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    top = next(iter(members)).partition("/")[0]
    members.pop(f"{top}/{name}", None)
    if content is not None:
        members[f"{top}/{name}"] = base64.b64decode(content)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for one, held in members.items():
            archive.writestr(one, held)
    file.write_bytes(made.getvalue())


def _table(file: Path, columns: dict[str, Any], metadata: str | None, *, place: Path, outside: Path) -> None:
    """A file of Parquet; `metadata` is what it says to the library `datasets`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(_meant(columns, place, outside))
    if metadata is not None:
        table = table.replace_schema_metadata({"huggingface": metadata.encode("utf-8", "surrogatepass")})
    pq.write_table(table, file)
