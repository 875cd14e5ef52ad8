"""Tries hostile and malformed input: the corpus first, and then what is generated; exit code 1 where any fails.

python -m tests.siege --count 20000 --keep
python -m tests.siege --kind tables --seconds 600 --seed 3
python -m tests.siege --reduce FILE
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
CORES = 2


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="siege", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", action="append", metavar="NAME", help="only of this kind; repeatable")
    parser.add_argument("--count", type=int, help="inputs of all kinds together (default: 20,000)")
    parser.add_argument("--seconds", type=float, default=3600.0, help="after which no more are begun (default: 3600)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=CORES, help="processes at once")
    parser.add_argument("--guided", type=float, default=0.2, help="share that atheris makes, where it is installed")
    parser.add_argument("--keep", action="store_true", help="write docs/siege.json and docs/siege.md")
    parser.add_argument("--corpus-only", action="store_true", help="try nothing but the corpus")
    parser.add_argument("--reduce", type=Path, metavar="FILE", help="print what of a failing case matters")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="siege-") as directory:
        root = Path(directory).resolve()
        _settle(root)
        from tests.siege import siege

        return siege.run(args, root, CORPUS)


def _settle(root: Path) -> None:
    """Before anything heavy is imported: a home of its own, no network, and no threads, which no fork bears."""
    (root / "home").mkdir()
    for name in [name for name in os.environ if name.startswith(("XDG_", "ATTNPRED_", "HF_", "MLFLOW_", "WANDB_"))]:
        del os.environ[name]
    os.environ.update(HOME=str(root / "home"), HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    os.environ.update(TMPDIR=str(root), TORCHINDUCTOR_CACHE_DIR=str(root / "inductor"))
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", CUDA_VISIBLE_DEVICES="")
    sys.dont_write_bytecode = True


if __name__ == "__main__":
    sys.exit(main())
