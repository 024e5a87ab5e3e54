"""Dynamical systems to try the method on, and an accurate, vectorised simulator for them.

>>> from pyhits import systems
>>> data = systems.get("van-der-pol").simulate(n_trajectories=100, random_state=0)

The paper's six systems come first in :func:`names`; :func:`add` puts in one of your own.
"""

from pyhits.systems.registry import add, get, names
from pyhits.systems.system import System

__all__ = ["System", "add", "get", "names"]
