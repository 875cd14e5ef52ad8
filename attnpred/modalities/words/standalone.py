"""Reading a text word by word, with `tokenizers` alone."""

from attnpred.modalities.reader import Standalone
from attnpred.modalities.text.standalone import CUTS
from attnpred.modalities.text.tokens import TOKENIZER_FILE
from attnpred.modalities.words.reader import WordsReader
from attnpred.modalities.words.split import WORD


def standalone(reader: WordsReader) -> Standalone:
    spec, unknown = reader.spec, reader.vocabulary.unknown_id
    lines = [
        f'tokenizer = Tokenizer.from_file(str(HERE / "{TOKENIZER_FILE}"))',
        "tokenizer.no_truncation()",
        "tokenizer.no_padding()",
        f"words = re.findall(r{WORD.pattern!r}, sys.argv[1])",
        'pieces = [word if i == 0 else " " + word for i, word in enumerate(words)]',
        f"each = [tokenizer.encode(one, add_special_tokens=False).ids or [{unknown}] for one in pieces]",
        "both = [(number, word) for word, ids in enumerate(each) for number in ids]",
        f"ids, room = both or [({unknown}, 0)], {spec.room}",
        f"kept = {CUTS[reader.truncate]}",
        f"before, behind = {list(spec.prefix)!r}, {list(spec.suffix)!r}",
        "tokens = before + [number for number, _ in kept] + behind",
        "owners = [-1] * len(before) + [word for _, word in kept] + [-1] * len(behind)",
        'feeds = {"tokens": np.array([tokens]), "lengths": np.array([len(tokens)]), "words": np.array([owners])}',
        "parts = [tokenizer.id_to_token(number) for number in tokens]",
    ]
    return Standalone('"a text"', ("tokenizers",), ("import re", "from tokenizers import Tokenizer"), tuple(lines))
