"""Times how photographs become training images: ours beside torchvision.io's decoder, in turn, in one process.

    python -m scripts.decode_speed --rounds 9

Both decode JPEG files in memory by as many threads as there are cores and bring them to 224 × 224 by resizing the
shorter side and cropping the middle. Writes `scripts/decode_speed.json` and the table of `docs/images.md`.
"""

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from attnpred.files import write_json
from attnpred.modalities.image.decoding import read_image
from attnpred.modalities.image.fit import Fit
from scripts.kept import origin
from scripts.tables import DOCS, put

RESULT = Path(__file__).with_suffix(".json")
PAGE = DOCS / "images.md"
SIDE, COUNT = 224, 64
SIZES = {"500 × 375": (500, 375), "1,600 × 1,200": (1600, 1200), "4,000 × 3,000": (4000, 3000)}


def photographs(size: tuple[int, int], count: int) -> list[bytes]:
    """Made up, with detail at every scale as photographs have, as JPEG files."""
    random = np.random.default_rng(0)
    files = []
    for _ in range(count):
        layers = [random.integers(0, 256, (size[1] // step, size[0] // step, 3), np.uint8) for step in (4, 16, 64)]
        scaled = [np.asarray(Image.fromarray(layer).resize(size, Image.Resampling.BICUBIC), int) for layer in layers]
        file = io.BytesIO()
        Image.fromarray((scaled[0] * 0.2 + scaled[1] * 0.3 + scaled[2] * 0.5).astype(np.uint8)).save(file, "jpeg")
        files.append(file.getvalue())
    return files


def ours(content: bytes) -> Any:
    return read_image(io.BytesIO(content), 3, Fit(SIDE, SIDE, "crop"))


def torchvisions(content: bytes) -> Any:
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms.v2 import functional as F

    image = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)
    return F.center_crop(F.resize(image, [SIDE], antialias=True), [SIDE, SIDE]).numpy()


def rate(decode: Callable[[bytes], Any], files: list[bytes], threads: ThreadPoolExecutor) -> float:
    """Images a second."""
    start = time.perf_counter()
    np.stack(list(threads.map(decode, files)))
    return len(files) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)  # the threads are ours
    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for name, size in SIZES.items():
            files = photographs(size, COUNT if size[0] < 2000 else COUNT // 4)
            pairs = [(rate(ours, files, threads), rate(torchvisions, files, threads)) for _ in range(rounds + 1)][1:]
            rows.append(
                {
                    "size": name,
                    "ours": statistics.median(one for one, _ in pairs),
                    "torchvision": statistics.median(other for _, other in pairs),
                    "ratio": statistics.median(one / other for one, other in pairs),
                    "low": min(one / other for one, other in pairs),
                    "high": max(one / other for one, other in pairs),
                }
            )
    measured = {**origin(), "rounds": rounds, "rows": rows}
    write_json(RESULT, measured)
    put(table(measured), "decode_speed", PAGE)


def table(measured: dict[str, Any]) -> str:
    head = "| photographs | ours, images/s | torchvision.io, images/s | ratio (range) |\n|---|---|---|---|"
    lines = [
        f"| {row['size']} | {row['ours']:,.0f} | {row['torchvision']:,.0f} "
        f"| {row['ratio']:.2f} × ({row['low']:.2f} to {row['high']:.2f}) |"
        for row in measured["rows"]
    ]
    return "\n".join(
        [head, *lines, "", f"{measured['rounds']} rounds in turn; {measured['machine']}, {measured['date']}."]
    )


if __name__ == "__main__":
    main()
