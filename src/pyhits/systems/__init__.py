"""Dynamical systems to try the method on, and an accurate, vectorised simulator for them.

>>> from pyhits import systems
>>> data = systems.get("van-der-pol").simulate(n_trajectories=100, random_state=0)

The paper's six systems come first in :func:`names`; :func:`add` puts one of your own beside them.
"""

from pyhits.systems.registry import add, get, names, register
from pyhits.systems.system import System

__all__ = ["System", "add", "get", "names", "register"]
