"""Takes the pictures of the pages that `attnpred explain` makes: docs/text.png and docs/image.png.

    python -m scripts.pictures TEXT_RUN IMAGE_RUN

The runs' test data is read; needs Chromium.
"""

import argparse
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from scripts import browser

DOCS = Path(__file__).parents[1] / "docs"
EXPLAINERS = ("attention", "integrated_gradients", "occlusion")
EXAMPLES = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", metavar="TEXT_RUN")
    parser.add_argument("image", metavar="IMAGE_RUN")
    args = parser.parse_args()
    if browser.executable() is None:
        parser.error("no Chromium is installed; install the package chromium")
    with tempfile.TemporaryDirectory() as place, closing(browser.Browser(Path(place) / "profile")) as window:
        for kind in ("text", "image"):
            page = Path(place) / f"{kind}.html"
            explain(getattr(args, kind), page)
            window.open(page, width=1180, height=1000)
            window.ask("document.getElementById('examples').scrollIntoView()")
            window.settle()
            window.picture(DOCS / f"{kind}.png")


def explain(run: str, page: Path) -> None:
    flags = [flag for name in EXPLAINERS for flag in ("--explainer", name)]
    command = [sys.executable, "-m", "attnpred", "explain", run, "--split", "test", "--limit", str(EXAMPLES)]
    subprocess.run([*command, *flags, "--output", str(page)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
