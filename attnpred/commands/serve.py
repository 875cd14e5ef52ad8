"""Answer over HTTP: POST /v1/predict, with attention; many requests in one batch, several models side by side.

RUN is a run directory or an exported folder, plain, as NAME=RUN, or as NAME@VERSION=RUN.
"""

import argparse
import hashlib
import os
from pathlib import Path
from typing import TypeVar

from attnpred.errors import NotInstalled, UserError
from attnpred.files import path_of

KEYS = "ATTNPRED_API_KEYS"
N = TypeVar("N", int, float)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="what to serve: RUN, NAME=RUN or NAME@VERSION=RUN")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 is every one of the machine")
    parser.add_argument("--port", type=int, default=8000, help="port to listen at; 0 finds a free one")
    parser.add_argument(
        "--precision", choices=("auto", "float32", "bf16", "int8"), default="auto", help="auto is that of training"
    )
    parser.add_argument("--max-batch", type=int, default=64, metavar="N", help="inputs that are answered together")
    parser.add_argument("--max-wait-ms", type=float, default=5.0, metavar="MS", help="how long one waits for others")
    parser.add_argument("--max-queue", type=int, default=512, metavar="N", help="inputs that wait; beyond: 429")
    parser.add_argument("--max-inputs", type=int, default=256, metavar="N", help="inputs of one request")
    parser.add_argument("--max-body-mib", type=float, default=8.0, metavar="MIB", help="largest request")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="S", help="seconds until a request gets 504")
    parser.add_argument("--slow-client", type=float, default=10.0, metavar="S", help="seconds for sending a request")
    parser.add_argument("--keys", metavar="FILE", help=f"a line NAME:KEY each for who may ask (or {KEYS}=NAME:KEY,…)")
    parser.add_argument("--log", metavar="DIR", help="keep statistics of inputs, answers, attention, for monitoring")
    parser.add_argument("--log-inputs", action="store_true", help="keep the inputs themselves, too")
    parser.add_argument("--no-access-log", action="store_true", help="print no line a request")


def main(args: argparse.Namespace) -> int:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise NotInstalled("attnpred serve", str(error.name), "serve") from None
    from attnpred.inference.serving.models import parse
    from attnpred.inference.serving.options import Limits, Options

    limits = Limits(
        max_batch=_least(args.max_batch, 1, "--max-batch"),
        max_wait_ms=_least(args.max_wait_ms, 0, "--max-wait-ms"),
        max_queue=_least(args.max_queue, args.max_inputs, "--max-queue"),
        max_inputs=_least(args.max_inputs, 1, "--max-inputs"),
        max_body_bytes=round(_least(args.max_body_mib, 2**-10, "--max-body-mib") * 2**20),
        request_seconds=_least(args.timeout, 0.001, "--timeout"),
        slow_seconds=_least(args.slow_client, 0.001, "--slow-client"),
    )
    if args.log_inputs and args.log is None:
        raise UserError("--log-inputs: says what a log keeps; give --log DIR, too")
    options = Options(
        served=parse(args.runs),
        host=args.host,
        port=args.port,
        precision=args.precision,
        limits=limits,
        keys=_keys(args.keys),
        log=None if args.log is None else path_of(args.log, "--log "),
        log_inputs=args.log_inputs,
    )
    from attnpred.machine.process_setup import settle

    settle()
    from attnpred.inference.serving.run import serve

    return serve(options, log=not args.no_access_log)


def _least(value: N, least: float, flag: str) -> N:
    if not value >= least:
        raise UserError(f"{flag} {value}: must be at least {least:g}")
    return value


def _keys(file: str | None) -> dict[str, bytes]:
    """Digests of the keys, by whom each was given to."""
    given = os.environ.pop(KEYS, "").split(",")  # child processes need not know them
    if file is not None:
        path = path_of(file, "--keys ")
        try:
            given += path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise UserError(f"--keys {file}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    found = {}
    for number, line in enumerate(filter(None, map(str.strip, given)), 1):
        name, _, key = line.partition(":")
        if not name.isidentifier() or len(key) < 16:
            raise UserError(f"--keys: line {number} is no NAME:KEY with a key of 16 characters or more; mend it")
        found[name] = hashlib.sha256(key.encode()).digest()
    if file is not None and not found:
        raise UserError(f"--keys {Path(file)}: holds no key; write a line NAME:KEY")
    return found
