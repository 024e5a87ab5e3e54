"""The paper's time-stepping study: each of its figures and tables, made by one call or command.

``reproduce("table6", Study("quick"))`` does what ``pyhits reproduce table6 --budget quick`` does.
"""

from pyhits.paper.budget import BUDGETS, Budget
from pyhits.paper.cache import Cache
from pyhits.paper.output import Result, Table
from pyhits.paper.registry import get, names, register
from pyhits.paper.run import reproduce
from pyhits.paper.study import Study

__all__ = [
    "BUDGETS",
    "Budget",
    "Cache",
    "Result",
    "Study",
    "Table",
    "get",
    "names",
    "register",
    "reproduce",
]
