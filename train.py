"""The launch command: `python train.py [override…]`, the same as `attnpred train`."""

import sys

from attnpred.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
