"""One page that holds a model and steps it in a browser: drag the start, switch scales."""

from pyhits.report.explorer.page import write_explorer

__all__ = ["write_explorer"]
