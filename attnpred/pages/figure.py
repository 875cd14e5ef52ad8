"""Figures for papers: examples under their maps as PDF, SVG or PNG, or coloured words in LaTeX."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnpred.errors import UserError
from attnpred.pages.colours import GLOW, Color, hue_of, shade

KINDS = (".pdf", ".svg", ".png", ".tex")
WIDTH, LINE, SIZE = 6.5, 0.24, 9  # inches of a page and of a line of words, and points of letters
TALL = 1.6  # inches of a picture
LATEX = {c: f"\\{c}" for c in "#$%&_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def check(file: Path) -> None:
    """Raises where the name tells of no kind of figure, or of one that cannot be drawn here."""
    if file.suffix.lower() not in KINDS:
        raise UserError(f"--figure {file}: name a file that ends with {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if file.suffix.lower() == ".tex":
        return
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UserError(f"--figure {file}: needs matplotlib; pip install attnpred[figures], or write .tex") from None


def figure(examples: Sequence[Mapping[str, Any]], explainers: Sequence[Mapping[str, Any]], file: Path) -> bytes:
    """The file's content: every example under every explainer's map, in colours that the colour-blind tell apart."""
    if file.suffix.lower() == ".tex":
        if any("words" not in example for example in examples):
            raise UserError(f"--figure {file}: LaTeX is for words, and these are pictures; name a .pdf, .svg or .png")
        return latex(examples, explainers).encode()
    import matplotlib

    # fonts as outlines that editors can change, and no date, so that the same run gives the same file
    embedded: Any = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "attnpred", "font.size": SIZE}
    with matplotlib.rc_context(embedded):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        drawn = Figure(figsize=(WIDTH, 1.0))
        FigureCanvasAgg(drawn)
        if all("words" in example for example in examples):
            _words(drawn, examples, explainers)
        else:
            _pictures(drawn, examples, explainers)
        kind, out = file.suffix.lower().removeprefix("."), io.BytesIO()
        undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind, {})
        drawn.savefig(out, format=kind, dpi=300, metadata=undated)
        return out.getvalue()


def latex(examples: Sequence[Mapping[str, Any]], explainers: Sequence[Mapping[str, Any]]) -> str:
    """A fragment to be read by \\input; it needs the package xcolor."""
    lines = [r"% needs \usepackage{xcolor}", r"{\setlength{\fboxsep}{1pt}"]
    for example in examples:
        for explainer in explainers:
            shades = _shades(example["maps"][explainer["name"]], signed=explainer["signed"])
            words = [_box(word, colour) for word, colour in zip(example["words"], shades, strict=True)]
            said = f"{_escaped(explainer['name'])}, {_escaped(example['predicted'])}"
            lines += [rf"\noindent\textsf{{\small {said}:}}", " ".join(words), r"\par\smallskip"]
    return "\n".join([*lines, "}", ""])


def _box(word: str, colour: Color | None) -> str:
    text = rf"\strut {_escaped(word)}"
    if colour is None:
        return rf"\mbox{{{text}}}"
    return rf"\colorbox[RGB]{{{','.join(map(str, colour))}}}{{{text}}}"


def _escaped(text: str) -> str:
    return "".join(LATEX.get(c, c) for c in text if c.isprintable())


def _shades(values: Sequence[float], *, signed: bool) -> list[Color | None]:
    top = max(map(abs, values), default=0.0) or 1.0
    return [shade(value / top, signed=signed) for value in values]


def _words(drawn: Any, examples: Sequence[Mapping[str, Any]], explainers: Sequence[Mapping[str, Any]]) -> None:
    """Words line by line, each on its colour."""
    renderer, dots = drawn.canvas.get_renderer(), drawn.dpi
    space = 0.06
    placed: list[tuple[float, int, str, Color | None, bool]] = []  # inches from the left, line, text, colour, heading
    line = 0
    for example in examples:
        for explainer in explainers:
            head = f"{explainer['name'].replace('_', ' ')}: {example['predicted']}"
            placed.append((0.0, line, head, None, True))
            line, across = line + 1, 0.0
            shades = _shades(example["maps"][explainer["name"]], signed=explainer["signed"])
            for word, colour in zip(example["words"], shades, strict=True):
                text = _plain(word)
                sized = drawn.text(0, 0, text)
                wide = sized.get_window_extent(renderer).width / dots
                sized.remove()
                if across and across + wide > WIDTH - 0.2:
                    line, across = line + 1, 0.0
                placed.append((across, line, text, colour, False))
                across += wide + space
            line += 1
    height = (line + 1) * LINE
    drawn.set_size_inches(WIDTH, height)
    for across, at, text, colour, heading in placed:
        box = {} if colour is None else {"backgroundcolor": tuple(c / 255 for c in colour)}
        where = (0.1 + across) / WIDTH, 1 - (at + 1) * LINE / height
        made = drawn.text(*where, text, fontweight="bold" if heading else "normal", **box)
        if colour is not None:
            made.get_bbox_patch().set_boxstyle("square", pad=0.12)


def _plain(word: str) -> str:
    return word.replace("$", r"\$")  # or it would begin a formula


def _pictures(drawn: Any, examples: Sequence[Mapping[str, Any]], explainers: Sequence[Mapping[str, Any]]) -> None:
    """A row an example: itself, then under each map."""
    from PIL import Image

    columns = 1 + len(explainers)
    drawn.set_size_inches(TALL * columns, (TALL + 0.25) * len(examples))
    axes = drawn.subplots(len(examples), columns, squeeze=False)
    for row, example in zip(axes, examples, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(example["image"].partition(",")[2]))).convert("RGB"))
        titles = [_plain(example["predicted"]), *(e["name"].replace("_", " ") for e in explainers)]
        for place, title in zip(row, titles, strict=True):
            place.imshow(pixels, interpolation="nearest")
            place.set_title(title, fontsize=SIZE)
            place.set_axis_off()
        for place, explainer in zip(row[1:], explainers, strict=True):
            glow = _glow(np.array(example["maps"][explainer["name"]]), example["grid"], signed=explainer["signed"])
            (height, width), edge = pixels.shape[:2], -0.5
            place.imshow(glow, extent=(edge, width + edge, height + edge, edge), interpolation="nearest")
    drawn.tight_layout(pad=0.3)


def _glow(values: np.ndarray, grid: Sequence[int], *, signed: bool) -> np.ndarray:
    """(rows, columns, 4) between 0 and 1: a hue that fades where little is."""
    strength = np.abs(values) / (np.abs(values).max(initial=0.0) or 1.0)
    hues = np.array([GLOW[hue_of(value, signed=signed)] for value in values]) / 255
    return np.concatenate((hues, 0.85 * strength[:, None]), axis=1).reshape(*grid, 4)
