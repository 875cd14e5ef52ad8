"""Command lines: with one mistake each, which the answer must name, over every group, field and verb; and wild ones."""

from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from attnpred.cli import VERBS
from attnpred.config import compose, describe
from tests.siege import odd
from tests.siege.case import Case
from tests.siege.oracle import by_command

WEIGHT, BASES, PROGRAMS, CODES, OPEN = 5, (), (), (), ()
ACTIONS = {"command": by_command(), "compose": by_command("train", "-c", "job")}
UNTOUCHED = frozenset(ACTIONS)
NEEDS = ("attnpred.commands.train", "attnpred.runs.run", "attnpred.compare.index", "attnpred.compare.where")
GUIDED = {
    "override": (
        lambda text: Case("command_lines", "compose", arguments=(text,)),
        lambda bases: "data.batch_size=[1,{a:2}]",
    )
}

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
RUN_VERBS = tuple(verb for verb in VERBS if verb not in ("train", "check", "completion"))
# of verbs
POSITIONAL: dict[str, list[str]] = {
    "train": [],
    "check": [],
    "packages": [],
    "new": ["model", "x"],
    "completion": ["zsh"],
}


def malformed(arguments: list[str], culprit: str) -> Case:
    return Case("command_lines", "command", arguments=tuple(arguments), told=culprit)


@cache
def options_of(pair: tuple[str, ...]) -> list[describe.Described]:
    return list(describe.describe(compose.compose(list(pair))))


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
                if value.startswith("[") and "a list" in option.allowed:
                    continue  # only the data tell how many it must hold
                found.append((pair, option.path, value))
    return found


def unknown_option(draw: st.DrawFn) -> Case:
    pair = draw(st.sampled_from(PAIRS))
    known = [option.path for option in options_of(pair)]
    word = draw(WORDS)
    path = draw(st.sampled_from([word, f"model.{word}", f"{draw(st.sampled_from(known))}{word}", f"{word}.lr"]))
    return malformed(["train", *pair, f"{path}={draw(st.sampled_from(['1', 'x', 'true', 'null']))}"], word)


def unfit_value(draw: st.DrawFn) -> Case:
    pair, path, value = draw(st.sampled_from(unfit_values()))
    return malformed(["train", *pair, f"{path}={value}"], path)


def unknown_file(draw: st.DrawFn) -> Case:
    word, group = draw(WORDS), draw(st.sampled_from(compose.groups()))
    return malformed(["train", f"{group}={word}"], word)


def broken_override(draw: st.DrawFn) -> Case:
    text = draw(st.sampled_from(BROKEN))
    return malformed(["train", text], text.strip().split("\n")[0])


def unknown_verb(draw: st.DrawFn) -> Case:
    word = draw(WORDS)
    return malformed([word, *draw(st.lists(WORDS, max_size=2))], word)


def no_run(draw: st.DrawFn) -> Case:
    word, verb = draw(WORDS), draw(st.sampled_from(RUN_VERBS))
    return malformed([verb, word, *(["text"] if verb == "predict" else [])], word)


def unknown_flag(draw: st.DrawFn) -> Case:
    word, verb = draw(WORDS), draw(st.sampled_from(VERBS))
    return malformed([verb, *POSITIONAL.get(verb, ["run", "x"]), f"--{word}"], word)


def sweepwith_a_mistake(draw: st.DrawFn) -> Case:
    word = draw(WORDS)
    return malformed(["train", "-m", "seed=0,1", f"optimizer.lr=1e-3,{word}"], "optimizer.lr")


MISTAKES = (
    unknown_option,
    unfit_value,
    unfit_value,
    unknown_file,
    broken_override,
    unknown_verb,
    no_run,
    unknown_flag,
    sweepwith_a_mistake,
)


def one_each() -> list[Case]:
    """A mistake in every option, every group and every verb."""
    first = {path: (pair, value) for pair, path, value in reversed(unfit_values())}
    options = [malformed(["train", *pair, f"{path}={value}"], path) for path, (pair, value) in first.items()]
    groups = [malformed(["train", f"{group}=qxz"], "qxz") for group in compose.groups()]
    verbs = [malformed([verb, *POSITIONAL.get(verb, ["run", "x"]), "--qxz"], "qxz") for verb in VERBS]
    return [*options, *groups, *verbs]


@st.composite
def with_a_mistake(draw: st.DrawFn) -> Case:
    return draw(st.sampled_from(MISTAKES))(draw)


@st.composite
def _wild(draw: st.DrawFn) -> Case:
    """Overrides of which some may even be right: the config is composed and shown, and nothing is trained."""
    pair = draw(st.sampled_from(PAIRS))
    keys = st.sampled_from([option.path for option in options_of(pair)] + compose.groups()) | _typed
    signs = st.sampled_from(["=", "=", "=", "==", "", "@x=", ":="])
    one = st.tuples(st.sampled_from(["", "", "", "+", "++", "~"]), keys, signs, _typed).map("".join)
    return Case("command_lines", "compose", arguments=(*pair, *draw(st.lists(one, min_size=1, max_size=3))))


@st.composite
def _wild_verb(draw: st.DrawFn) -> Case:
    """Of verbs that write nothing, or only what is theirs."""
    verb = draw(st.sampled_from(["runs", "compare", "prune", "predict", "evaluate", "explain", "resume", "check"]))
    flags = ["--where", "--metric", "--keep", "--json", "--sort", "--limit", "--explainer", "--output", "--package"]
    words = st.sampled_from(flags) | _typed
    given = draw(st.lists(words, min_size=1, max_size=4))
    if verb == "check" and all(word.startswith("-") for word in given):
        given = [*given, "seed=x"]  # what it is to check without any takes long
    return Case("command_lines", "command", arguments=(verb, *given))


_typed = (st.sampled_from(odd.TEXTS) | st.text(max_size=10)).map(lambda text: text.replace("\0", "0"))


def cases(bases: Path) -> st.SearchStrategy[Case]:
    mistakes = with_a_mistake()
    return st.one_of(mistakes, mistakes, mistakes, _wild(), _wild_verb())
