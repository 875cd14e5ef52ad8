"""A survey as text, for people."""

from collections.abc import Iterator
from typing import Any

from attnpred.console import tables
from attnpred.console.secrets import printable

MOST_CLASSES = 12  # of a part that are listed
MOST_COLUMNS = 50


def text(story: dict[str, Any]) -> str:
    splits = ", ".join(f"{one['name']} {one['rows']:,} rows" for one in story["splits"])
    sections = [
        f"{story['source']}: {splits}",
        _columns(story["columns"]),
        "\n".join(f"{name}: {said}" for name, said in story["facts"]),
        _parts(story["parts"]),
        "\n".join(map(printable, _lines(story))),
        _doubts(story["doubts"]) if story.get("doubts") else "",
        _end(story),
    ]
    return "\n\n".join(section for section in sections if section)


def _columns(columns: list[dict[str, Any]]) -> str:
    rows = [["column", "kind", "missing", "different", "range", "plays", "values"]]
    for one in columns[:MOST_COLUMNS]:
        different = "many" if one["distinct"] is None else f"{one['distinct']:,}" if one["distinct"] else ""
        rows.append(
            [
                tables.printable(one["name"]),
                one["kind"],
                f"{one['missing'] + one['empty']:,}",
                different,
                span(one),
                one["plays"] or "",
                "; ".join(one["samples"]),
            ]
        )
    return tables.align(rows)


def span(column: dict[str, Any]) -> str:
    """`0 to 12.5`, or `3 to 80 words`"""
    if column["numbers"]:
        return f"{column['numbers'][0]:g} to {column['numbers'][-1]:g}"
    if column["words"] and column["words"][-1] > 1:
        return f"{column['words'][0]:,.0f} to {column['words'][-1]:,.0f} words"
    return ""


def _parts(parts: list[dict[str, Any]]) -> str:
    if not parts:
        return ""
    names = list(dict.fromkeys(name for part in parts for name in part["classes"] or ()))
    rows = [["part", *(part["part"] for part in parts)], ["rows", *(f"{part['rows']:,}" for part in parts)]]
    for name in names[:MOST_CLASSES]:
        rows.append([tables.printable(name), *(share(part, name) for part in parts)])
    rest = f"\n… and {len(names) - MOST_CLASSES} more classes" if len(names) > MOST_CLASSES else ""
    return tables.align(rows) + rest


def share(part: dict[str, Any], name: str) -> str:
    count = (part["classes"] or {}).get(name, 0)
    return f"{count:,} ({count / part['rows']:.1%})" if part["rows"] else "0"


def _lines(story: dict[str, Any]) -> Iterator[str]:
    for one in story["problems"]:
        rest = ", …" if one["count"] > len(one["rows"]) else ""
        yield f"odd: {rows(one['count'])} {one['what']}: {', '.join(one['rows'])}{rest}; {one['remedy']}"
    for one in story["pairs"]:
        if one["count"]:
            yield f"{one['kind']}: {said_of(one)}"
            for pair in one["shown"]:
                targets = " and ".join(pair["targets"]) if len(set(pair["targets"])) > 1 else pair["targets"][0]
                yield f"  {' = '.join(pair['rows'])}: {targets}"
    yield from (f"warning: {line}" for line in story["warnings"])


def rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def said_of(pairs: dict[str, Any]) -> str:
    return (
        f"{rows(pairs['count'])} like an earlier one, {pairs['across']:,} of them on the other side of train's border, "
        f"{pairs['other_target']:,} with another target"
    )


def _doubts(found: dict[str, Any]) -> str:
    head = (
        f"labels in doubt: {found['doubted']:,} of {found['rows']:,} rows that {len(found['runs'])} "
        f"run{'s' * (len(found['runs']) != 1)} did not train on"
    )
    rows = [["row", "label", "answer", "", "input"]]
    for one in found["shown"]:
        names = [tables.printable(one[key]) for key in ("label", "answer")]
        rows.append([one["row"], *names, sureness(one), one["input"]])
    return head if len(rows) == 1 else f"{head}\n{tables.align(rows)}"


def sureness(doubt: dict[str, Any]) -> str:
    """How sure the answer is that is put in the data's place, or how far off the data are."""
    return f"{doubt['chance']:.0%}" if doubt["off"] is None else f"{doubt['off']:.1f} times the usual error"


def _end(story: dict[str, Any]) -> str:
    if story["question"]:
        return printable(f"to be told: {story['question']}")
    if story["refused"]:
        return printable(f"would be refused: {story['refused']}")
    return printable(f"to train: {story['command']}") if story["command"] else ""
