"""Command lines with one mistake each, over every group, field and verb, and the word that the answer must name."""

from functools import cache
from typing import NamedTuple

from hypothesis import strategies as st

from attnpred.cli import VERBS
from attnpred.config import compose, schema

PAIRS = (("model=resnet_attention", "data=digits"), ("model=transformer", "data=sst2"), ("model=bert", "data=imdb"))
# letters that no option, file or verb is made of by chance, and what shells and terminals stumble over
WORDS = st.text(st.sampled_from("qxzQXZ_0389é☃-"), min_size=3, max_size=12).map(lambda text: "q" + text)
UNFIT = {
    "a number": ("abc", "1e", "--", "nan", "[1]", "{a:1}", "true", "''"),
    "an integer": ("abc", "1.5", "nan", "inf", "[1,2]", "{}", "true", "0x", "''"),
    "true or false": ("2", "maybe", "[true]", "abc", "1.0", "''"),
    "one of": ("abc", "17", "[]", "{}", "none_of_them", "true", "''"),
    "a list": ("5", "abc", "true", "{a:1}", "1.5"),
}
BROKEN = ("=", "=5", "a b", "a=[1", "a={b", "+", "~", "++", "a=b=c", "a=${", "a='", 'a="', "seed=1 seed=2", "\n", "\t=")
RUN_VERBS = tuple(verb for verb in VERBS if verb not in ("train", "check"))
POSITIONAL: dict[str, list[str]] = {"train": [], "check": [], "packages": [], "new": ["model", "x"]}  # of verbs


class Malformed(NamedTuple):
    arguments: list[str]
    culprit: str  # stands in the answer


@cache
def options_of(pair: tuple[str, ...]) -> list[schema.Described]:
    return list(schema.describe(compose.compose(list(pair))))


@cache
def unfit_values() -> list[tuple[tuple[str, ...], str, str]]:
    """For every option of every pair: overrides that choose the pair, its path, and a value that it cannot take."""
    found = []
    for pair in PAIRS:
        for option in options_of(pair):
            if "a text" in option.allowed and not option.allowed.startswith("a list"):
                continue  # takes whatever is typed
            unfit = [value for kind, values in UNFIT.items() if kind in option.allowed for value in values]
            may_be = ["true or false"] * ("true" in option.allowed) + ["number"] * ("number" in option.allowed)
            for value in unfit:
                if value == "true" and may_be[:1] == ["true or false"]:
                    continue
                found.append((pair, option.path, value))
    return found


def unknown_option(draw: st.DrawFn) -> Malformed:
    pair = draw(st.sampled_from(PAIRS))
    known = [option.path for option in options_of(pair)]
    word = draw(WORDS)
    path = draw(st.sampled_from([word, f"model.{word}", f"{draw(st.sampled_from(known))}{word}", f"{word}.lr"]))
    return Malformed(["train", *pair, f"{path}={draw(st.sampled_from(['1', 'x', 'true', 'null']))}"], word)


def unfit_value(draw: st.DrawFn) -> Malformed:
    pair, path, value = draw(st.sampled_from(unfit_values()))
    return Malformed(["train", *pair, f"{path}={value}"], path)


def unknown_file(draw: st.DrawFn) -> Malformed:
    word, group = draw(WORDS), draw(st.sampled_from(compose.groups()))
    return Malformed(["train", f"{group}={word}"], word)


def broken_override(draw: st.DrawFn) -> Malformed:
    text = draw(st.sampled_from(BROKEN))
    return Malformed(["train", text], text.strip().split("\n")[0])


def unknown_verb(draw: st.DrawFn) -> Malformed:
    word = draw(WORDS)
    return Malformed([word, *draw(st.lists(WORDS, max_size=2))], word)


def no_run(draw: st.DrawFn) -> Malformed:
    word, verb = draw(WORDS), draw(st.sampled_from(RUN_VERBS))
    return Malformed([verb, word, *(["text"] if verb == "predict" else [])], word)


def unknown_flag(draw: st.DrawFn) -> Malformed:
    word, verb = draw(WORDS), draw(st.sampled_from(VERBS))
    return Malformed([verb, *POSITIONAL.get(verb, ["run", "x"]), f"--{word}"], word)


def sweep_with_a_mistake(draw: st.DrawFn) -> Malformed:
    word = draw(WORDS)
    return Malformed(["train", "-m", "seed=0,1", f"optimizer.lr=1e-3,{word}"], "optimizer.lr")


KINDS = (
    unknown_option,
    unfit_value,
    unfit_value,
    unknown_file,
    broken_override,
    unknown_verb,
    no_run,
    unknown_flag,
    sweep_with_a_mistake,
)


def one_each() -> list[Malformed]:
    """A mistake in every option, every group and every verb."""
    first = {path: (pair, value) for pair, path, value in reversed(unfit_values())}
    options = [Malformed(["train", *pair, f"{path}={value}"], path) for path, (pair, value) in first.items()]
    groups = [Malformed(["train", f"{group}=qxz"], "qxz") for group in compose.groups()]
    verbs = [Malformed([verb, *POSITIONAL.get(verb, ["run", "x"]), "--qxz"], "qxz") for verb in VERBS]
    return [*options, *groups, *verbs]


@st.composite
def malformed(draw: st.DrawFn) -> Malformed:
    return draw(st.sampled_from(KINDS))(draw)
