"""The paper's time-stepping study: each of its figures and tables, made by one call or command.

``reproduce("table6", Study("quick"))`` does what ``pyhits reproduce table6 --budget quick`` does.
"""

from pyhits.study.budget import BUDGETS, Budget
from pyhits.study.cache import Cache
from pyhits.study.context import Study
from pyhits.study.output import Result, Table
from pyhits.study.registry import get, names, register
from pyhits.study.run import reproduce

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
