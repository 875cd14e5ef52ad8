"""Load on loopback: `attnpred serve` beside a plain FastAPI endpoint that calls the model once a request.

    python -m scripts.serve_speed RUN --texts validation.parquet:sentence --rounds 5

Both answer the same texts of the same run, in processes of their own, in turns. A client in a third process holds so
many connections open, and on each asks again as soon as it is answered. Writes `scripts/serve_speed.json` and the table
of `docs/serve.md`; with --try it prints alone.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attnpred.files import write_json
from scripts.kept import origin
from scripts.tables import DOCS, put

RESULT = Path(__file__).with_suffix(".json")
PAGE = DOCS / "serve.md"
PORT = 8765
PATIENCE = 120  # seconds until a server must answer
WORDS = ("the", "a", "film", "story", "cast", "is", "was", "not", "very", "lovely", "dull", "witty", "and", "but")


def texts_of(source: str | None, count: int) -> list[str]:
    """Of a table, FILE:COLUMN; else made up, of 3 to 30 words."""
    if source is None:
        import random

        random.seed(0)
        return [" ".join(random.choices(WORDS, k=random.randint(3, 30))) for _ in range(count)]
    import pyarrow.parquet as pq

    file, _, column = source.rpartition(":")
    found: list[str] = pq.read_table(file, columns=[column])[column].to_pylist()[:count]
    return [found[place % len(found)] for place in range(count)]


@contextmanager
def serving(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """A server as a process of its own, which answers."""
    child = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/openapi.json", timeout=5).close()
                break
            except OSError:
                if child.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{' '.join(command)}: does not answer") from None
                time.sleep(0.2)
        yield
    finally:
        child.terminate()
        child.wait()


def load(texts: list[str], clients: int, attention: bool) -> dict[str, Any]:
    """Seconds of each request, and of all; for a process of its own."""
    return asyncio.run(_load(texts, clients, attention))


async def _load(texts: list[str], clients: int, attention: bool) -> dict[str, Any]:
    waiting = iter(texts)
    seconds: list[float] = []
    failed = 0

    async def client() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        for text in waiting:
            body = json.dumps({"input": text, "attention": attention}).encode()
            head = (
                f"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            )
            began = time.perf_counter()
            writer.write(head.encode() + b"\r\n\r\n" + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            await reader.readexactly(length)
            seconds.append(time.perf_counter() - began)
            failed += not answer.startswith(b"HTTP/1.1 200")
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return {"seconds": seconds, "whole": time.perf_counter() - began, "failed": failed}


def measured(texts: list[str], clients: int, attention: bool) -> dict[str, float]:
    with ProcessPoolExecutor(1) as apart:
        apart.submit(load, texts[: 4 * clients], clients, attention).result()  # warms up
        found = apart.submit(load, texts, clients, attention).result()
    assert not found["failed"], f"{found['failed']} requests were not answered"
    ordered = sorted(found["seconds"])
    return {
        "requests_per_second": len(texts) / found["whole"],
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p99_ms": 1000 * ordered[int(0.99 * len(ordered))],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--texts", metavar="FILE:COLUMN")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-attention", action="store_true")
    parser.add_argument("--precision", nargs="+", default=["auto"], help="of attnpred serve; several are rows each")
    parser.add_argument("--try", dest="trial", action="store_true", help="write nothing")
    args = parser.parse_args()
    texts = texts_of(args.texts, args.requests)
    python = [sys.executable, "-m"]
    serve = [*python, "attnpred", "serve", args.run, "--port", str(PORT), "--no-access-log"]
    commands = {
        "plain FastAPI": [*python, "uvicorn", "scripts.plain_endpoint:app", "--port", str(PORT), "--no-access-log"],
        **{f"attnpred serve, {one}": [*serve, "--precision", one] for one in args.precision},
    }
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            with serving(command, {"ATTNPRED_RUN": args.run}):
                rounds[name].append(measured(texts, args.clients, not args.no_attention))
                print(name, rounds[name][-1], flush=True)
    rows: list[dict[str, Any]] = [
        {"name": name, **{key: statistics.median(one[key] for one in found) for key in found[0]}}
        for name, found in rounds.items()
    ]
    for row in rows:
        row["times"] = row["requests_per_second"] / rows[0]["requests_per_second"]
        speed = f"{row['requests_per_second']:.0f} a second ({row['times']:.1f} × plain)"
        print(f"{row['name']}: {speed}, p99 {row['p99_ms']:.0f} ms")
    if not args.trial:
        asked = {"clients": args.clients, "requests": args.requests, "rounds": args.rounds}
        write_json(RESULT, {**origin(), **asked, "attention": not args.no_attention, "rows": rows})
        put(table(rows), "serve_speed", PAGE)


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| server | requests a second | median | p99 | × plain |", "|---|---|---|---|---|"]
    for row in rows:
        lines.append(
            f"| {row['name']} | {row['requests_per_second']:,.0f} | {row['p50_ms']:.0f} ms | {row['p99_ms']:.0f} ms | "
            f"{row['times']:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
