"""README and docs: links lead somewhere, commands can be typed, options exist, and sentences are short."""

import ast
import importlib
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

from attnpred.cli import VERBS, Parser
from attnpred.commands.check import shipped
from attnpred.config import compose, overrides
from attnpred.config.describe import describe
from attnpred.errors import UserError
from attnpred.version import __version__
from tests.docs.prose import PAGES, REPOSITORY, Command, commands, prose, too_long

GENERATED = {"growth.md"}  # sentences included, by scripts.bench.growth
WIDEST_README = 7 * 1024  # bytes
COMMANDS = [command for page in PAGES for command in commands(page)]
# what cannot be looked at without running it, and is run by the tests that are named
ELSEWHERE = ("--package mypkg",)  # test_extend.py types them in their order
BEGUN = REPOSITORY / "tests" / "runs_made_before" / "text_transformer"  # what RUN stands for, to go on from
MISSING = "…"  # stands for a part that the reader fills in


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_internal_link_leads_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@cache
def anchors(page: Path) -> set[str]:
    """Headings as GitHub and MyST name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_every_command_can_be_typed(command: Command):
    text = command.text.partition(" < ")[0]
    if MISSING in text or any(mark in text for mark in ELSEWHERE):
        return
    words = shlex.split(text)
    if words[0] == "torchrun":
        words = words[words.index("attnpred") :]
    match words:
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE), target
        case ["pip", "install", *rest]:
            assert set(re.findall(r"\[(\w+)\]", " ".join(rest))) <= extras()
        case ["python", "train.py", *rest] | ["attnpred", "train", *rest]:
            try_train(rest, command.answer)
        case ["python", "-m", module, *_]:
            assert importlib.util.find_spec(module) is not None
        case ["python", script, *_]:
            assert (REPOSITORY / script).is_file()
        case ["attnpred", verb, *rest]:
            parse(verb, rest)
        case ["tensorboard", *_]:
            pass
        case _:
            pytest.fail(f"{command}: no test knows this program")


def test_every_row_of_why_has_a_command_that_proves_it():
    readme = REPOSITORY / "README.md"
    table = readme.read_text(encoding="utf-8").partition("## Why")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 5
    for row in rows:
        [typed] = re.findall(r"`(attnpred [^`]+)`", row.split(" | ")[0])
        answer = "error: optimizer.lrr: no such option; did you mean optimizer.lr?"
        test_every_command_can_be_typed(Command(readme, 0, typed, answer if "lrr" in typed else None))


def test_the_experiment_for_those_who_come_from_the_template_composes(tmp_path):
    page = (REPOSITORY / "docs" / "from-lightning-hydra-template.md").read_text(encoding="utf-8")
    _, ours = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "example.yaml").write_text(ours)
    config = compose.compose(["experiment=example"], str(tmp_path))
    assert (config.data.name, config.seed, config.trainer.clip_norm) == ("digits", 12345, 0.5)


def parse(verb: str, arguments: list[str]):
    assert verb in VERBS
    parser = Parser(prog=verb, add_help=verb != "train")
    importlib.import_module(f"attnpred.commands.{verb}").add_arguments(parser)
    return parser.parse_intermixed_args(arguments)


def try_train(words: list[str], answer: str | None) -> None:
    """Composes what would be trained, in a sweep the first of its jobs; mistakes are answered as shown."""
    parsed = parse("train", [word.replace("continue_from=RUN", f"continue_from={BEGUN}") for word in words])
    try:
        if any(word.startswith("explainer=") for word in parsed.overrides):
            compose.explainer_of(parsed.overrides)
        elif parsed.multirun:
            compose.engine(parsed.overrides)
            compose.compose(first_job(parsed.overrides))
        else:
            compose.compose(parsed.overrides)
    except UserError as error:
        if f"error: {error.lines[0]}" != answer:
            raise


def first_job(words: list[str]) -> list[str]:
    fixed = [word for word in words if not re.search(r"=(tag|interval)\(", word)]  # a search draws from these
    return next(overrides.expand([word for word in fixed if not word.startswith("hydra")]))


@cache
def extras() -> set[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


def test_every_option_that_a_page_names_exists():
    known = set(documented())
    groups = {name.partition(".")[0] for name in known}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if page.name.startswith("from-"):  # whose tables begin with others' options
            text = re.sub(r"^\|[^|]*\|", "", text, flags=re.MULTILINE)
        for named in re.findall(r"`((?:\w+\.)+\w+)(?:=[^`]*)?`", text):
            if named.partition(".")[0] in groups and not re.search(r"\.(py|json|md|toml|ckpt|safetensors)$", named):
                parents = {named, named.rpartition(".")[0]}  # of a mapping's names it alone is known
                inside = [name for name in known if name.startswith(f"{named}.")]
                assert parents & known or inside, f"{page.name}: {named}"


@cache
def documented() -> dict[str, set[str]]:
    """What is said of every option of every shipped choice; of models, say, each may say something else."""
    triples = [triple for triple in shipped() if len(triple) == 3]  # of model, data and task
    covering = {word: tuple(triple) for triple in triples for word in triple}
    configs = [compose.compose(list(triple)) for triple in set(covering.values())]
    parts = ("launcher", "sweeper")
    engines = [
        (f"hydra.{part}", engine)
        for kind in parts
        for name in compose.group_options(f"hydra/{kind}")
        for part, engine in zip(parts, compose.engine([f"hydra/{kind}={name}"]), strict=True)
    ]
    every = [*(("", config) for config in configs), *engines]
    found: dict[str, set[str]] = {}
    for place, config in every:
        for one in describe(config, place):
            found.setdefault(one.path, set()).add(one.doc)
    return found


def test_what_is_said_of_an_option_is_short():
    found = {name: [long for doc in docs for long in too_long(doc)] for name, docs in documented().items()}
    assert {name: long for name, long in found.items() if long} == {}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in GENERATED], ids=lambda page: page.name)
def test_no_sentence_is_long(page: Path):
    assert too_long(page.read_text(encoding="utf-8")) == []


def test_what_is_said_of_a_module_is_short():
    found = {}
    for file in (REPOSITORY / "attnpred").rglob("*.py"):
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        if "templates" not in file.parts and (long := too_long(text)):
            found[file.name] = long
    assert found == {}


def test_the_readme_is_short_and_shows_a_picture_first():
    readme = REPOSITORY / "README.md"
    assert readme.stat().st_size <= WIDEST_README
    assert "](docs/front.png)" in readme.read_text(encoding="utf-8")[:700]


def test_every_file_that_says_the_version_says_the_same():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert {project["version"], citation["version"]} == {__version__}
    assert citation["license"] == project["license"] == "Apache-2.0"
    assert f"\n## {__version__}" in changes
