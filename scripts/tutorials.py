"""Runs the tutorials and keeps their outputs: docs/tutorials/*.ipynb.

    python -m scripts.tutorials [NAME…]

`attnpred` must be the one of this checkout.
"""

import argparse
import os
import sys
from pathlib import Path

from scripts.tables import DOCS

TUTORIALS = DOCS / "tutorials"


def main() -> None:
    names = sorted(file.stem for file in TUTORIALS.glob("*.ipynb"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    args = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for name in args.names or names:
        keep(TUTORIALS / f"{name}.ipynb")


def keep(path: Path) -> None:
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600).execute(cwd=str(path.parent))
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when each cell ran, which changes every time
        if cell.cell_type == "code":  # of commands both streams are told on stdout; what else there is are warnings
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
