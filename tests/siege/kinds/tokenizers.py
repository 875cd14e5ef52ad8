"""Tokenizers: of a run, and of an encoder that a user names. Their rules are programs of a kind: they may blow up."""

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from attnpred.modalities.text.tokens import checkpoint_vocabulary
from tests.siege import odd
from tests.siege.case import Case, Edit, read
from tests.siege.kinds import TRIED
from tests.siege.oracle import by_call, by_command

WEIGHT, BASES, PROGRAMS, CODES = 2, ("text", "encoder"), (TRIED,), ()
OPEN: tuple[str, ...] = ()
FILE, SETTINGS = "tokenizer.json", "tokenizer_config.json"
TEXT = "A fine film, quite long\t& <br> naïve 你好 \U0001f600"


def _learn(place: Path, case: Case) -> None:
    """As a run of that encoder does."""
    vocabulary = checkpoint_vocabulary(str(place))
    vocabulary.ids_and_spans([TEXT, "", "a"])
    assert vocabulary.size > 0


ACTIONS = {"predict": by_command("predict", "{place}", TEXT), "learn": by_call(_learn)}
UNTOUCHED = frozenset(ACTIONS)
NEEDS = (
    "attnpred.inference.predict",
    "transformers.models.auto.tokenization_auto",
    "attnpred.models.transformer",
    "attnpred.training.train",
)
GUIDED: dict[str, Any] = {}
PATTERN = st.sampled_from(["a", "", " ", ".*", "(a+)+$", "(", "[", "\\", "\\p{L}+", "(?=x)", "(?:)", "a|b", "\\s"])
REPLACED = st.sampled_from(["", "a", "aa", "x" * 50, "\0", "\ud800", "é"])
rule = st.one_of(
    st.tuples(st.sampled_from(["String", "Regex"]), PATTERN, REPLACED).map(
        lambda found: {"type": "Replace", "pattern": {found[0]: found[1]}, "content": found[2]}
    ),
    st.sampled_from(["NFC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel", "Evil"]).map(
        lambda n: {"type": n}
    ),
    st.tuples(st.booleans(), st.booleans()).map(lambda f: {"type": "Strip", "strip_left": f[0], "strip_right": f[1]}),
    REPLACED.map(lambda text: {"type": "Prepend", "prepend": text}),
    st.just({"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
)
splitter = st.one_of(
    st.sampled_from(["Whitespace", "BertPreTokenizer", "WhitespaceSplit", "Evil"]).map(lambda n: {"type": n}),
    st.tuples(
        PATTERN, st.sampled_from(["Isolated", "Removed", "MergedWithNext", "Contiguous", "x"]), st.booleans()
    ).map(lambda f: {"type": "Split", "pattern": {"Regex": f[0]}, "behavior": f[1], "invert": f[2]}),
    st.just({"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}),
)
model = st.one_of(
    st.sampled_from(
        [
            {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "b"},
            {"type": "WordLevel", "vocab": {}, "unk_token": "[UNK]"},
            {"type": "WordLevel", "vocab": {"a": 4294967295}, "unk_token": "a"},
            {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]},
            {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 1}, "merges": ["a b", "b a"], "dropout": 2.0},
            {"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "none", "byte_fallback": True},
            {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 7},
            {"type": "Unigram", "vocab": [["", -1.0], ["a", float("nan")]], "unk_id": 0},
            {"type": "Unigram", "vocab": [], "unk_id": None},
            {
                "type": "WordPiece",
                "vocab": {"[UNK]": 0},
                "unk_token": "[UNK]",
                "max_input_chars_per_word": 0,
                "continuing_subword_prefix": "",
            },
        ]
    )
)


def _parts(file: str) -> st.SearchStrategy[Edit]:
    chain = st.lists(rule, min_size=1, max_size=4)
    long = rule.map(lambda one: [one] * 6)  # grows with each of its rules
    return st.one_of(
        (chain | long).map(lambda some: ["put", file, ["normalizer"], {"type": "Sequence", "normalizers": some}]),
        splitter.map(lambda one: ["put", file, ["pre_tokenizer"], one]),
        model.map(lambda one: ["put", file, ["model"], one]),
        st.tuples(st.integers(0, 2**32), st.sampled_from(["a", "", " ", "film", "\0", "[CLS]"]), st.booleans()).map(
            lambda f: [
                "put",
                file,
                ["added_tokens"],
                [
                    {
                        "id": f[0],
                        "content": f[1],
                        "special": f[2],
                        "single_word": False,
                        "lstrip": True,
                        "rstrip": True,
                        "normalized": f[2],
                    }
                ],
            ]
        ),
    )


def cases(bases: Path) -> st.SearchStrategy[Case]:
    documents = {base: read(bases / base / FILE) for base in BASES}
    settings: Any = read(bases / "encoder" / SETTINGS)

    @st.composite
    def made(draw: st.DrawFn) -> Case:
        base = draw(st.sampled_from(BASES))
        some = [_parts(FILE), _parts(FILE), odd.spoilt(FILE, documents[base])]
        if base == "encoder":
            some.append(odd.spoilt(SETTINGS, settings))
        several = draw(odd.edits(st.one_of(some), 2))
        if base == "encoder":
            return Case("tokenizers", "learn", several, base)
        sign: tuple[Edit, ...] = (["sign", "."],) if draw(st.integers(0, 9)) else ()
        return Case("tokenizers", "predict", (*several, *sign), base)

    return made()
