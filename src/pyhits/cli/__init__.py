"""The command line: a thin face on the library, with the same names."""

import atexit
import gc
import sys
import time

__all__ = ["main"]


def main() -> None:
    """Run the command line; whatever goes wrong before a command begins is said in a sentence."""
    begin, code = time.perf_counter(), 1
    # Python looks through all that PyTorch has made, several times over, only to end.
    atexit.register(gc.freeze)
    try:
        # First what an end without memory takes.
        from pyhits.cli import sentences
        from pyhits.cli.limits import check_folder, spare_threads
        from pyhits.cli.streams import prepare

        prepare()
        spare_threads()
        check_folder()
        from pyhits.cli.app import app

        app(obj=begin)
    except (KeyboardInterrupt, SystemExit) as error:
        # Typer ends in silence where it is interrupted before a command begins.
        hidden = getattr(error.__context__, "__cause__", None)
        if isinstance(error, SystemExit) and not isinstance(hidden, KeyboardInterrupt):
            raise
        code = 130
        if sys.stderr is not None:
            print("Error: Interrupted; nothing was finished.", file=sys.stderr)
    except Exception as error:
        text, code = sentences.sentence(error)
        if text and sys.stderr is not None:
            print(f"Error: {text}", file=sys.stderr)
    else:
        return
    sys.exit(code)
