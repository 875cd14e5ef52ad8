"""The sentences and the commands of a page in Markdown: what tests of the documentation look at."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = [*sorted(REPOSITORY.glob("*.md")), *sorted(DOCS.glob("*.md"))]
LONGEST = 25  # words of a sentence


@dataclass(frozen=True)
class Command:
    """A line of a code block that someone could type, and what the page shows of the answer."""

    page: Path
    line: int
    text: str
    answer: str | None = None

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}: {self.text}"


def code_blocks(text: str) -> Iterator[tuple[int, str]]:
    """Lines of code with their numbers, without the indentation that makes them code."""
    fence = None
    blank = True  # code by indentation alone begins after a blank line
    indented = False
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.match(r"\s*(```+|~~~+)", line)
        if mark and (fence is None or line.strip() == fence):
            fence = mark[1] if fence is None else None
        elif fence is not None:
            yield number, line
        elif line.startswith("    ") and (blank or indented):
            indented = True
            yield number, line[4:]
        elif line.strip():
            indented = False
        blank = not line.strip()


def prose(page: Path) -> str:
    """The page without its code, line for line."""
    text = page.read_text(encoding="utf-8")
    code = {number for number, _ in code_blocks(text)}
    return "\n".join("" if number in code else line for number, line in enumerate(text.splitlines(), 1))


def commands(page: Path) -> list[Command]:
    """Commands of the code blocks: what begins with a program of ours, with lines joined that a backslash parts."""
    found: list[Command] = []
    lines = list(code_blocks(page.read_text(encoding="utf-8")))
    at = 0
    while at < len(lines):
        number, line = lines[at]
        while line.endswith("\\") and at + 1 < len(lines):
            at += 1
            line = line[:-1] + lines[at][1].strip()
        at += 1
        typed = re.sub(r"\s+#\s.*$", "", line.strip())
        shown = typed.startswith("$ ")
        answer = lines[at][1] if shown and at < len(lines) else None
        typed = typed.removeprefix("$ ")
        if re.match(r"(attnpred|python|make|pip|tensorboard|torchrun) ", typed):
            found.append(Command(page, number, typed, answer))
    return found


def sentences(text: str) -> Iterator[str]:
    """Prose alone: without code, tables, headings, markup, and what scripts write between their markers."""
    text = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    code = {number for number, _ in code_blocks(text)}
    kept = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        skip = number in code or bare.startswith(("|", "#", "```", "~~~", ":::", "![", "<"))
        kept.append("" if skip else re.sub(r"^\s*(?:[-*>]|\d+\.)\s+", "\n\n", line))
    for paragraph in re.split(r"\n\s*\n", "\n".join(kept)):
        plain = re.sub(r"`[^`]*`", "code", " ".join(paragraph.split()))
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", plain)
        for sentence in re.split(r"(?<=[.!?])[)\"*_]*\s+(?=[\"(*_]*[A-Z0-9]|code)|:$", plain):
            if sentence.strip():
                yield sentence.strip()


def words(sentence: str) -> int:
    return len([word for word in sentence.split() if re.search(r"\w", word)])


def too_long(text: str) -> list[str]:
    return [sentence for sentence in sentences(text) if words(sentence) > LONGEST]
