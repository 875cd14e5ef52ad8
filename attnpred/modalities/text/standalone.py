"""Reading a text, or several together, with `tokenizers` alone."""

from attnpred.modalities.reader import Standalone
from attnpred.modalities.text.reader import TextReader
from attnpred.modalities.text.tokens import TOKENIZER_FILE

CUTS = {
    "head": "ids[:room]",
    "tail": "ids[len(ids) - min(room, len(ids)) :]",
    "both": "ids if len(ids) <= room else ids[: room - room // 2] + ids[len(ids) - room // 2 :]",
}


def standalone(reader: TextReader) -> Standalone:
    spec, names = reader.spec, reader.spec.names
    lines = [
        f'tokenizer = Tokenizer.from_file(str(HERE / "{TOKENIZER_FILE}"))',
        "tokenizer.no_truncation()",
        "tokenizer.no_padding()",
        f"texts = sys.argv[1:{1 + (len(names) or 1)}]",
    ]
    if reader.strip_html:
        lines.append(r'texts = [html.unescape(re.sub(r"(?i)<br\s*/?>", "\n", text)) for text in texts]')
    unknown, room = reader.vocabulary.unknown_id, spec.room
    lines += [
        f"each = [tokenizer.encode(text, add_special_tokens=False).ids or [{unknown}] for text in texts]",
        "rooms = [len(ids) for ids in each]",
        f"while sum(rooms) > {room}:  # the longest is cut first",
        "    rooms[rooms.index(max(rooms))] -= 1",
        f"kept = [{CUTS[reader.truncate]} for ids, room in zip(each, rooms)]",
        f"tokens, segments = {list(spec.prefix)!r}, {[-1] * len(spec.prefix)!r}",
        "for number, ids in enumerate(kept):",
        f"    between = {list(spec.between)!r} if number else []",
        "    tokens += between + ids",
        "    segments += [-1] * len(between) + [number] * len(ids)",
        f"tokens += {list(spec.suffix)!r}",
        f"segments += {[-1] * len(spec.suffix)!r}",
        'feeds = {"tokens": np.array([tokens]), "lengths": np.array([len(tokens)])}',
    ]
    if names:
        lines.append('feeds["segments"] = np.array([segments])')
    lines.append("parts = [tokenizer.id_to_token(number) for number in tokens]")
    imports = ["from tokenizers import Tokenizer", *(["import html", "import re"] if reader.strip_html else [])]
    argument = " ".join(f'"{name}"' for name in names) or '"a text"'
    return Standalone(argument, ("tokenizers",), tuple(imports), tuple(lines))
