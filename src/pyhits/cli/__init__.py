"""The command line: a thin face on the library, with the same names."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; whatever goes wrong before a command begins is said in a sentence."""
    code = 1
    try:
        from pyhits.cli.limits import spare_threads
        from pyhits.cli.streams import prepare

        prepare()
        spare_threads()
        from pyhits.cli.app import app

        app()
    except (ImportError, MemoryError, OSError) as error:
        from pyhits.cli.sentences import sentence

        text, code = sentence(error)
        if text and sys.stderr is not None:
            print(f"Error: {text}", file=sys.stderr)
    else:
        return
    sys.exit(code)
