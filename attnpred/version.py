"""The version of this code, which its runs and sweeps keep."""

__version__ = "0.1.0"
