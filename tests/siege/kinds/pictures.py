"""Pictures: of every format and mode, cut off, spoilt within, or lying about themselves; in folders and in Parquet."""

import io
import shutil
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from attnpred.modalities.image.batch import ImageSpec
from attnpred.modalities.image.reader import ImageReader
from tests.data.made import image_config, image_data, image_rows, png
from tests.siege import odd
from tests.siege.case import Case, Edit, packed
from tests.siege.oracle import by_call, by_command

WEIGHT, BASES, PROGRAMS, CODES, OPEN = 3, ("image",), (), (), ()
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO", "TGA", "PCX", "SGI", "DDS")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
NAMES = ("x.png", "x.jpg", "x.gif", "x.tif", "x.webp", "x", "x.PNG", "\u202e.png", "x\x1b.png", "x" * 120 + ".png")
SPECIFICATION = ImageSpec(channels=1, height=8, width=8, mean=(0.0,), std=(1.0,))
COUNT, CHUNK_HEAD = 12, 8


def _read(place: Path, case: Case) -> None:
    """As predict does with the paths that it is given."""
    files = [str(path) for path in sorted((place / "theirs").iterdir())]
    for reading in ImageReader(SPECIFICATION).readings(files, 4):
        assert reading.batch.inputs["image"].pixels.shape[1:] == (1, 8, 8)


def _folder(place: Path, case: Case) -> None:
    """A folder of good pictures and this one, a directory a class."""
    images, labels = image_rows(COUNT)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (place / "theirs" / str(label)).mkdir(exist_ok=True)
        (place / "theirs" / str(label) / f"{number}.png").write_bytes(png(image))
    for path in [path for path in (place / "theirs").iterdir() if not path.is_dir()]:
        path.rename(place / "theirs" / "0" / path.name)
    _learn(place / "theirs", place, image_column="image", **_how(case))


def _parquet(place: Path, case: Case) -> None:
    """The picture's bytes, or what stands in their place, as a row among others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    images, labels = image_rows(COUNT)
    values: list[Any] = [{"bytes": png(image), "path": None} for image in images]
    (odd_one,) = (place / "theirs").iterdir()
    content = odd_one.read_bytes() if odd_one.is_file() and not odd_one.is_symlink() else None
    values[7] = {"bytes": content, "path": case.arguments[1] if len(case.arguments) > 1 else None}
    place_of = place / "theirs" / "data"
    place_of.mkdir()
    pq.write_table(pa.table({"img": values, "label": labels}), place_of / "train.parquet")
    _learn(place_of, place, **_how(case))


def _how(case: Case) -> dict[str, Any]:
    return {"on_bad_row": case.arguments[0]} if case.arguments else {}


def _learn(source: Path, place: Path, **changes: Any) -> None:
    cache_dir = place.parent / "scratch" / "cache"
    try:
        for batch in image_data(image_config(source, cache_dir, test_split=None, **changes)).loader("train"):
            assert len(batch.ids)
    finally:
        shutil.rmtree(cache_dir, ignore_errors=True)


ACTIONS = {
    "read": by_call(_read),
    "folder": by_call(_folder),
    "parquet": by_call(_parquet),
    "predict": by_command("predict", "{place}", "{place}/theirs/x.png"),
}
UNTOUCHED = frozenset(["read", "predict"])
NEEDS = (
    "datasets",
    "pandas",
    "pyarrow.parquet",
    "pyarrow.dataset",
    "attnpred.inference.predict",
    "attnpred.models.resnet_attention",
)
GUIDED: dict[str, Any] = {}


@cache
def good() -> list[bytes]:
    """A small picture of every format and mode that it can hold."""
    random, found = np.random.default_rng(0), []
    for mode in MODES:
        grey = Image.fromarray(random.integers(0, 256, (9, 7), np.uint8))
        try:
            image = Image.new("I;16", (7, 9), 300) if mode == "I;16" else grey.convert(mode)
        except ValueError:
            continue
        for kind in FORMATS:
            for options in (
                {},
                {"compression": "tiff_lzw"},
                {"compression": "tiff_adobe_deflate"},
                {"progressive": True},
            ):
                held = io.BytesIO()
                try:
                    image.save(held, kind, **options)
                except (OSError, ValueError, KeyError, SystemError, TypeError):
                    continue
                if held.getvalue() not in found:
                    found.append(held.getvalue())
    several = [Image.new("L", (7, 9), value) for value in (1, 9, 200)]
    for kind in ("GIF", "TIFF", "WEBP", "PNG"):  # of several frames
        held = io.BytesIO()
        several[0].save(held, kind, save_all=True, append_images=several[1:])
        found.append(held.getvalue())
    return found


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@st.composite
def _lying_png(draw: st.DrawFn) -> bytes:
    """Chunks with right checksums that say odd things."""
    side = st.sampled_from([0, 1, 7, 8, 9, 1000, 2**15, 2**20, 2**31 - 1, 2**32 - 1])
    depth, colour = draw(st.sampled_from([1, 2, 4, 8, 16, 0, 3])), draw(st.sampled_from([0, 2, 3, 4, 6, 1, 7]))
    head = struct.pack(">IIBBBBB", draw(side), draw(side), depth, colour, 0, 0, draw(st.sampled_from([0, 1, 9])))
    pixels = draw(st.binary(max_size=30)) + bytes(draw(st.sampled_from([0, 9, 200, 100_000])))
    chunks = [_chunk(b"IHDR", head)]
    for _ in range(draw(st.integers(0, 3))):
        name = draw(
            st.sampled_from([b"PLTE", b"tRNS", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"gAMA"])
        )
        content = draw(st.binary(max_size=40)) + bytes(draw(st.sampled_from([0, 0, 500])))
        if name in (b"zTXt", b"iTXt", b"iCCP") and draw(st.booleans()):
            content = b"key\0\0" + zlib.compress(bytes(draw(st.sampled_from([10, 3_000_000]))))
        chunks.append(_chunk(name, content))
    chunks.append(_chunk(b"IDAT", zlib.compress(pixels)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + _chunk(b"IEND", b"")


@st.composite
def _lying_tiff(draw: st.DrawFn) -> bytes:
    """Entries of a directory, of any type, count and value."""
    order = draw(st.sampled_from(["<", ">"]))
    usual = {
        256: 7,
        257: 9,
        258: 8,
        259: 1,
        262: 1,
        273: 200,
        277: 1,
        278: 9,
        279: 63,
        339: 1,
        317: 1,
        274: 6,
        338: 0,
        320: 8,
    }
    tags = draw(st.lists(st.sampled_from(list(usual)), min_size=3, max_size=14, unique=True))
    numbers = st.sampled_from([0, 1, 2, 3, 7, 8, 16, 32, 64, 255, 5000, 32773, 34712, 2**31, 2**32 - 1])
    entries = b""
    for tag in sorted(tags):
        value = draw(numbers) if draw(st.integers(0, 4)) == 0 else usual[tag]
        kind = draw(st.sampled_from([4, 4, 4, 3, 1, 2, 5, 7, 11, 12, 0, 99])) if draw(st.integers(0, 4)) == 0 else 4
        count = draw(numbers) if draw(st.integers(0, 9)) == 0 else 1
        entries += struct.pack(f"{order}HHII", tag, kind, count, value)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    following = draw(st.sampled_from([0, 0, 0, 8]))  # another directory, or the same again without end
    made = head + struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", following)
    return made.ljust(200, b"\0") + bytes(range(63))


@st.composite
def _extreme(draw: st.DrawFn) -> bytes:
    """Right pictures of values or sides that are rare."""
    shape = draw(st.sampled_from([(1, 1), (9, 7), (1, 300), (300, 1), (2, 2)]))
    kind, values = draw(
        st.sampled_from(
            [
                ("float32", [0.5, 2, 1e30, float("nan"), float("inf"), -1]),
                ("int32", [0, 70_000, -1, 65_535]),
                ("uint16", [0, 65_535]),
            ]
        )
    )
    held = io.BytesIO()
    Image.fromarray(np.full(shape, draw(st.sampled_from(values)), kind)).save(held, "TIFF")
    return held.getvalue()


@st.composite
def _pictures(draw: st.DrawFn) -> tuple[Edit, ...]:
    name = f"theirs/{draw(st.sampled_from(NAMES))}"
    if draw(st.integers(0, 14)) == 0:
        return (draw(odd.rewritten(name) | odd.replaced(name).filter(lambda e: e[0] in ("pipe", "link", "pickle"))),)
    spoilt = st.sampled_from(good())
    whole = draw(st.one_of(spoilt, spoilt, _lying_png(), _lying_tiff(), _extreme()))
    return (["bytes", name, packed(whole)], *draw(st.lists(odd.splices(name), max_size=2)))


def cases(bases: Path) -> st.SearchStrategy[Case]:
    how = st.sampled_from(
        [("fail",), ("skip",), ("fail", "{outside}/secret.csv"), ("skip", "../../outside/secret.csv")]
    )
    named = _pictures().filter(lambda edits: edits[0][0] != "link")  # a path that the user names may be one
    reads = named.map(lambda edits: Case("pictures", "read", edits))
    folders = st.tuples(_pictures(), how).map(
        lambda found: Case("pictures", "folder", found[0], arguments=found[1][:1])
    )
    tables = st.tuples(_pictures(), how).map(lambda found: Case("pictures", "parquet", found[0], arguments=found[1]))
    predicts = named.map(
        lambda e: Case("pictures", "predict", tuple([o, "theirs/x.png", *m] for o, _, *m in e), "image")
    )
    return st.one_of(reads, reads, tables, folders, predicts)
