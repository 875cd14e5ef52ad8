"""The site that `make docs` builds: Sphinx, MyST and Furo, without a request to elsewhere."""

import re
from pathlib import Path

from sphinx.application import Sphinx

from attnpred.version import __version__

project = "attnpred"
author = "The attnpred maintainers"
copyright = author
version = release = __version__
extensions = ["myst_nb"]
highlight_language = "none"  # indented code is commands, trees and tables alike
myst_heading_anchors = 4
nb_execution_mode = "off"  # the tutorials are kept with their outputs; a test runs them anew
html_theme = "furo"
html_title = f"attnpred {version}"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}


def _to_pages(app: Sphinx, name: str, content: list[str]) -> None:
    """Links to files beside docs/ lead to the pages that include them; the index names pages that it leaves open."""
    for file in ("CONTRIBUTING", "CHANGELOG", "SECURITY"):
        content[0] = re.sub(rf"\]\((?:\.\./)+{file}\.md", f"]({file.lower()}.md", content[0])

    if name == "index":
        known = set(content[0].splitlines()) | {name}
        further = sorted({page.stem for page in Path(app.srcdir).glob("*.md")} - known)
        content[0] = content[0].replace("\nfurther pages\n", "".join(f"\n{page}" for page in further) + "\n")


def setup(app: Sphinx) -> None:
    app.connect("source-read", _to_pages)
