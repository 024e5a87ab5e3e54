"""Runs ``python -m pyhits``."""

from pyhits.cli.app import main

main()
