"""Draws the picture at the top of README and docs, docs/front.png: two runs' attention, and how faithful it is.

    python -m scripts.front_picture TEXT_RUN IMAGE_RUN

The runs' test splits are read. Shown are their first examples that are answered right, one a class: of texts those of 8
to 16 words and of at least 95 % probability, of images six at most. Numbers are over 100 examples. Needs
Chromium.
"""

import argparse
import html
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from PIL import Image

from scripts import browser
from scripts.tables import DOCS

PICTURE = DOCS / "front.png"
EXAMPLES = 100
SURE = 0.95
IMAGES = 6
WORDS = range(8, 17)
# as the pages of `attnpred explain` colour what a model attends to
STYLE = """
body { margin: 0; padding: 28px 36px; width: 1208px; background: #fff; color: #1b1c22 }
body { font: 26px/1.75 system-ui, sans-serif }
p { margin: 0 0 6px } span { border-radius: 6px; padding: 2px 5px } b { font-weight: 600 }
.quiet { color: #5b5d69; font-size: 21px } .row { display: flex; gap: 18px; margin: 14px 0 4px }
figure { margin: 0; font-size: 20px; line-height: 1.5 } .frame { position: relative; width: 186px; height: 186px }
.frame > * { position: absolute; inset: 0; width: 100%; height: 100%; border-radius: 8px } img { image-rendering: auto }
"""
SCRIPT = """
for (const canvas of document.querySelectorAll("canvas")) {
  const values = JSON.parse(canvas.dataset.map), top = Math.max(...values), context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  values.forEach((value, i) => pixels.data.set([168, 85, 247, Math.round(170 * value / top)], 4 * i));
  context.putImageData(pixels, 0, 0);
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", metavar="TEXT_RUN")
    parser.add_argument("image", metavar="IMAGE_RUN")
    args = parser.parse_args()
    if browser.executable() is None:
        parser.error("no Chromium is installed; install the package chromium")
    body = text_part(explained(args.text)) + image_part(explained(args.image))
    with tempfile.TemporaryDirectory() as place, closing(browser.Browser(Path(place) / "profile")) as window:
        page = Path(place) / "front.html"
        page.write_text(
            f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{body}<script>{SCRIPT}</script>', "utf-8"
        )
        window.open(page, width=1280, height=400)
        window.open(page, width=1280, height=window.ask("document.body.offsetHeight"))
        window.picture(PICTURE)
    Image.open(PICTURE).quantize(256).save(PICTURE, optimize=True)


def explained(run: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "attnpred", "explain", run, "--split", "test", "--limit", str(EXAMPLES)]
    told = subprocess.run([*command, "--explainer", "attention", "--json"], check=True, stdout=subprocess.PIPE)
    story: dict[str, Any] = json.loads(told.stdout)
    return story


def first_of_each_class(story: dict[str, Any], fit: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for example in story["examples"]:
        if not example["wrong"] and fit(example):
            found.setdefault(example["label"], example)
    return list(found.values())


def text_part(story: dict[str, Any]) -> str:
    lines = []
    for example in first_of_each_class(story, lambda one: len(one["words"]) in WORDS and one["confidence"] >= SURE):
        shares = example["maps"]["attention"]
        words = " ".join(
            f'<span style="background:rgba(168,85,247,{0.75 * share / max(shares):.2f})">{html.escape(word)}</span>'
            for word, share in zip(example["words"], shares, strict=True)
        )
        lines.append(f"<p><b>{html.escape(example['label'])}</b> {words}</p>")
    return "".join(lines) + measured(story)


def image_part(story: dict[str, Any]) -> str:
    figures = []
    for example in first_of_each_class(story, lambda one: True)[:IMAGES]:
        rows, columns = example["grid"]
        numbers = json.dumps(example["maps"]["attention"])
        canvas = f"<canvas width={columns} height={rows} data-map='{numbers}'></canvas>"
        figures.append(
            f'<figure><div class="frame"><img src="{example["image"]}">{canvas}</div>'
            f"{html.escape(example['label'])}</figure>"
        )
    return f'<div class="row">{"".join(figures)}</div>' + measured(story)


def measured(story: dict[str, Any]) -> str:
    """What the answer loses without the parts attended to most, beside parts drawn by chance."""
    scores = story["faithfulness"]["scores"]
    own, chance = (
        "{:.2f} ({:.2f} to {:.2f})".format(*scores[name]["comprehensiveness"]) for name in ("attention", "random")
    )
    return (
        f'<p class="quiet">{story["model"]} on {story["data"]}: without what it attends to, its answer loses '
        f"<b>{own}</b> of probability; without as much by chance, {chance}</p>"
    )


if __name__ == "__main__":
    main()
