"""The image, as far as it can be looked at without a daemon: what it copies, installs and starts is there."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from attnpred.cli import Parser
from attnpred.commands import serve

REPOSITORY = Path(__file__).parents[1]
INSTRUCTIONS = {"ARG", "FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"}


def instructions():
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, " ".join(value.split())) for name, value in lines]


def test_it_knows_its_instructions_and_runs_as_nobody_special():
    found = instructions()
    assert {name for name, _ in found} <= INSTRUCTIONS | {"ENTRYPOINT", "CMD"}
    assert dict(found)["USER"] == "attnpred"
    assert sum(name == "FROM" for name, _ in found) == 2
    declared = {value.partition("=")[0] for name, value in found if name == "ARG"}
    assert set(re.findall(r"\$\{?([A-Z_]+)", str(found))) <= declared | {"PATH"}


def test_what_it_copies_is_there_and_not_ignored():
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    for name, value in instructions():
        if name == "COPY" and not value.startswith("--from="):
            for source in value.split()[:-1]:
                assert (REPOSITORY / source).exists()
                assert not any(fnmatch(source, pattern) for pattern in ignored)
    built = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    copied = " ".join(value for name, value in instructions() if name == "COPY")
    needed = [built["project"]["readme"], *built["project"]["license-files"], "attnpred", "conf"]
    assert all(f"{one} " in copied for one in needed)
    installed = next(re.search(r"\.\[(.*?)\]", value) for name, value in instructions() if ".[" in value)
    assert set(installed[1].split(",")) <= set(built["project"]["optional-dependencies"])


def test_what_it_starts_is_a_command_that_there_is():
    known = dict(instructions())
    words = [*json.loads(known["ENTRYPOINT"]), *json.loads(known["CMD"])]
    assert words[:2] == ["attnpred", "serve"]
    parser = Parser(prog="attnpred serve")
    serve.add_arguments(parser)
    parsed = parser.parse_args(words[2:])
    assert (parsed.port, parsed.host, parsed.runs) == (int(known["EXPOSE"]), "0.0.0.0", ["/run/model"])
    assert f":{parsed.port}/ready" in known["HEALTHCHECK"]
