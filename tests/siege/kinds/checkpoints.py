"""Checkpoints: the archive's structure, pickles in it, and tensors of other shapes, types and values, or none."""

import pickle
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from hypothesis import strategies as st

from attnpred.training import memory
from tests.siege import odd
from tests.siege.case import Case, Edit, packed, read
from tests.siege.kinds import TRIED
from tests.siege.kinds.runs import INPUTS
from tests.siege.oracle import Action, by_command

WEIGHT, BASES, PROGRAMS, CODES, OPEN = 3, ("image", "text", "series", "translation", "crossed"), ("git ", TRIED), (), ()
LAST, BEST = "checkpoints/last.ckpt", "checkpoints/best.ckpt"


def _unestimated(action: Action) -> Action:
    """Without the estimate of memory: it takes half of the time, and looks at the config alone, which is whole here."""

    def act(place: Path, case: Case) -> int:
        with mock.patch.object(memory, "estimate", return_value=None):
            return action(place, case)

    return act


ACTIONS = {
    "predict": by_command("predict", "{place}", "*"),
    "resume": _unestimated(by_command("resume", "{place}")),
    "evaluate": by_command("evaluate", "{place}"),
}
UNTOUCHED = frozenset(ACTIONS) - {"evaluate", "resume"}
NEEDS = ("attnpred.inference.evaluate", "attnpred.inference.predict", "attnpred.training.train")
GUIDED: dict[str, Any] = {}
KINDS = ("float32", "float16", "bfloat16", "float64", "int64", "int8", "uint8", "bool", "complex64")
SHAPES = ((), (0,), (1,), (3, 3), (16,), (1, 1, 1, 1), (0, 16), (2**20,))
FILLS = (0.0, 1.0, float("nan"), float("inf"), -1.0, 1e30)


class Named:
    """Pickled, it has something of the library's or system's called."""

    def __init__(self, function: Any, given: tuple[Any, ...]) -> None:
        self.function, self.given = function, given

    def __reduce__(self) -> Any:
        return self.function, self.given


def _pickles() -> list[bytes]:
    import os

    calls = [(os.system, ("true",)), (eval, ("1",)), (getattr, (1, "real")), (torch.load, ("x",)), (torch.zeros, (2,))]
    named = [pickle.dumps({"state_dict": Named(*one), "global_step": 1}, 2) for one in calls]
    opcodes = [
        b"",
        b".",
        b"\x80\x02.",
        b"\x80\xff.",
        b"(" * 1000 + b".",
        b"\x80\x02K\x01.",
        b"\x80\x02X\xff\xff\xff\x7f.",
    ]
    deep = b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b"."
    bad = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02tR."
    odd_ones = b"\x80\x02}(X\x0a\x00\x00\x00state_dictK\x01X\x0b\x00\x00\x00global_stepK\x01u."
    return [
        *named,
        *opcodes,
        deep,
        bad,
        odd_ones,
        pickle.dumps([1, 2]),
        pickle.dumps({"state_dict": {}, "global_step": 2**70}),
    ]


def tensors() -> st.SearchStrategy[Any]:
    one = st.tuples(st.sampled_from(SHAPES).map(list), st.sampled_from(KINDS), st.sampled_from(FILLS))
    return one.filter(lambda found: found[1].startswith(("float", "bfloat", "complex")) or found[2] in (0.0, 1.0)).map(
        lambda found: {"$tensor": list(found)}
    )


def _changes(file: str, document: Any) -> st.SearchStrategy[Edit]:
    where = [list(path) for path in odd.paths(document) if all(isinstance(part, str | int) for part in path)]
    weights = [path for path in where if torch.is_tensor(odd.at(document, tuple(path)))]
    anywhere, values = st.sampled_from(where), odd.values.filter(lambda value: value != "\ud800")
    return st.one_of(
        st.tuples(st.sampled_from(weights), tensors()).map(lambda found: ["put", file, *found]),
        st.tuples(anywhere, values).map(lambda found: ["put", file, *found]),
        anywhere.map(lambda path: ["drop", file, path]),
    )


@st.composite
def _archive(draw: st.DrawFn, file: str) -> Edit:
    name = draw(
        st.sampled_from(["data.pkl", "data/0", "data/1", "version", "byteorder", ".data/serialization_id", "../../x"])
    )
    content = draw(st.one_of(st.none(), st.sampled_from(_pickles()), st.binary(max_size=16), st.just(bytes(4096))))
    return ["member", file, name, None if content is None else packed(content)]


def cases(bases: Path) -> st.SearchStrategy[Case]:
    documents = {base: read(bases / base / LAST) for base in BASES}

    @st.composite
    def made(draw: st.DrawFn) -> Case:
        base, action = (
            draw(st.sampled_from(BASES)),
            draw(st.sampled_from([*["predict"] * 5, *["resume"] * 5, "evaluate"])),
        )
        file = LAST if action == "resume" else BEST
        inner = _changes(file, documents[base])
        one = st.one_of(inner, inner, inner, odd.splices(file), _archive(file), odd.rewritten(file), odd.replaced(file))
        several = draw(odd.edits(one, 2))
        trust: tuple[Edit, ...] = (["trust", "checkpoints"],) if draw(st.integers(0, 9)) else ()
        return Case("checkpoints", action, (*several, *trust), base, INPUTS[base] if action == "predict" else ())

    return made()
