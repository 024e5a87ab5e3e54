"""Runs ``python -m pyhits``."""

from pyhits.cli import main

main()
