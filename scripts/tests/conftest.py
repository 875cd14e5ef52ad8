"""As for the tests of the package: one thread, to be set before torch is imported."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
