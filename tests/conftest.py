"""What every test stands on."""

import os

# Small tensors gain nothing from a second thread, and threads that wait for one another are slow on a busy machine.
# To be set before torch is imported; child processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"
