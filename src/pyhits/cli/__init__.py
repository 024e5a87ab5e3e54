"""The command line: a thin face on the library, with the same names."""

from pyhits.cli.app import main

__all__ = ["main"]
