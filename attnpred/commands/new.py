"""Write a working skeleton of a model, dataset, task or explainer into a package of your own."""

import argparse
import importlib.util
import keyword
import re
from pathlib import Path

from attnpred.config import packages
from attnpred.config.folders import group_options
from attnpred.console import stdout
from attnpred.errors import UserError

TEMPLATES = Path(__file__).parent / "templates"
ROOMS = {"model": "models", "data": "data", "task": "tasks", "explainer": "explain"}
SMALL = '"data=evidence_text", "data.rows=600"'  # what a test trains on, where the kind itself brings no data
OVERRIDES = {
    "model": f'"model={{name}}", {SMALL}',
    "data": '"data={name}", "model=transformer"',
    "task": f'"task={{name}}", "model=transformer", {SMALL}',
    "explainer": f'"model=transformer", {SMALL}',
}
EXPLAINED = """    (run,) = (file.parent for file in tmp_path.rglob("run.json"))
    assert main(["explain", "--package", "{package}", str(run), "--explainer", "{name}", "--limit", "4"]) == 0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=list(ROOMS), help="what to write")
    parser.add_argument("name", metavar="NAME", help="its name, as in model=NAME")


def before_trust(args: argparse.Namespace) -> None:
    """Makes the package below the working directory, where there is none of that name."""
    for name in args.package:
        known = importlib.util.find_spec(name) if name.isidentifier() else True
        if known is None and not Path(name).exists():
            _write(Path(name, "__init__.py"), f'"""{name}: extends attnpred."""\n', Path(name))


def main(args: argparse.Namespace) -> int:
    (package,) = args.package if len(args.package) == 1 else (None,)
    if package is None:
        raise UserError("attnpred new: say which package gets it, as in --package mypkg")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", args.name) or keyword.iskeyword(args.name):
        raise UserError(f"{args.name}: no name of a file and a class; use lower-case letters, digits and _")
    if args.name in group_options(args.kind):
        raise UserError(f"{args.kind}={args.name}: there is one already; choose another name")
    root = packages.trusted()[package].place
    if not root.is_dir():
        raise UserError(f"--package {package}: is a single file; make it a folder with __init__.py")
    values = {"name": args.name, "cls": _class_name(args.name), "package": package}
    values["overrides"] = OVERRIDES[args.kind].format(**values)
    values["further"] = EXPLAINED.format(**values) if args.kind == "explainer" else ""
    files = {
        root / ROOMS[args.kind] / f"{args.name}.py": f"{args.kind}.py.txt",
        root / "conf" / args.kind / f"{args.name}.yaml": f"{args.kind}.yaml.txt",
        root / "tests" / f"test_{args.name}.py": "test.py.txt",
    }
    for file in files:
        if file.exists():
            raise UserError(f"{file}: is there already; choose another name, or remove it")
    for file, template in files.items():
        _write(file, (TEMPLATES / template).read_text(encoding="utf-8").format(**values).rstrip() + "\n", root)
        stdout.write(str(file))
    return 0


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_") if part)


def _write(file: Path, text: str, root: Path) -> None:
    """Writes the file, and makes its folder a package."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".py" and file.parent != root:
            (file.parent / "__init__.py").touch()
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror}); choose another directory") from None
