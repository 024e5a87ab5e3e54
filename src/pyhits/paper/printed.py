"""The numbers that the paper prints, as plain data: Tables 1 to 3 and 5 to 9.

Liu, Kutz, Brunton, "Hierarchical deep learning of multiscale differential equation time-steppers",
Phil. Trans. R. Soc. A 380 (2022), arXiv:2008.09768.
"""

from __future__ import annotations

#: Columns of the paper's tables, by the names of :mod:`pyhits.systems`.
SYSTEMS = ("hyperbolic", "cubic", "van-der-pol", "hopf", "lorenz")

#: Rows of Tables 5 to 8: NNTS 0 to 10, the single time-scale neural network time-steppers, and
#: their coupling.
SCHEMES = (*(f"nnts-{k}" for k in range(11)), "multiscale")

#: Rows of Table 9.
CLASSICAL_SCHEMES = (
    *(f"rk-{k}" for k in range(5)),
    *(f"hybrid-{k}" for k in range(5)),
    "multiscale",
)

#: Table 2: the scales that cross-validation chose, first and last. "2 - 11" is as printed, though
#: scales count from 0 to 10.
CHOSEN = {
    "hyperbolic": "3 - 10",
    "cubic": "1 - 4",
    "van-der-pol": "2 - 5",
    "hopf": "2 - 11",
    "lorenz": "6 - 8",
}

#: Table 2: widths of the hidden layers.
HIDDEN_SIZES = {
    "hyperbolic": (128, 128, 128),
    "cubic": (256, 256, 256),
    "van-der-pol": (512, 512, 512),
    "hopf": (128, 128, 128),
    "lorenz": (1024, 1024, 1024),
}

#: Appendix A.1: optimiser steps a scale.
MAX_STEPS = 100_000

_TABLE_6 = """
1.5e-3 3.1e-3 1.3e-1 4.9e-3 1.6e+1
2.0e-4 7.0e-4 6.9e-3 1.2e-3 2.2e+1
1.7e-5 4.0e-4 3.3e-3 1.2e-3 1.5e+1
1.6e-5 2.0e-4 4.1e-3 1.1e-3 8.0e+0
1.5e-6 3.0e-4 3.9e-3 9.0e-4 2.5e+1
1.8e-6 3.0e-4 2.2e-2 9.0e-4 4.4e+0
4.8e-6 3.0e-4 9.3e-2 9.0e-4 4.1e+0
5.4e-5 1.2e-3 4.2e-1 2.5e-3 4.7e+0
5.0e-4 9.8e-3 1.0e+0 2.4e-2 5.6e+0
3.2e-3 5.0e-2 2.9e+0 1.5e-1 1.8e+1
1.0e-2 1.0e-1 3.2e+0 1.3e-1 5.1e+1
5.1e-8 2.0e-4 3.2e-3 4.1e-5 4.1e+0
"""

_TABLE_7 = """
7.2e-3 3.4e-2 1.6e+0 1.9e-2 9.0e+1
4.9e-3 2.7e-2 3.1e+0 5.9e-3 4.1e+1
5.0e-4 6.4e-3 2.4e+0 1.2e-2 3.4e+1
7.8e-5 3.9e-3 1.6e-1 7.0e-3 2.8e+1
7.3e-5 1.3e-3 7.8e-2 1.2e-3 1.9e+1
5.8e-5 1.1e-3 9.0e-2 1.0e-3 1.3e+1
9.5e-6 8.0e-4 1.2e-1 7.0e-4 9.7e+0
5.7e-5 1.7e-3 4.2e-1 2.4e-3 1.1e+1
5.0e-4 1.0e-2 1.0e+0 2.4e-2 1.2e+1
3.2e-3 5.0e-2 2.9e+0 1.5e-1 2.3e+1
1.0e-2 1.0e-1 3.2e+0 1.3e-1 5.2e+1
1.7e-6 6.0e-4 1.7e-2 5.4e-5 9.8e+0
"""

_TABLE_8 = """
1.3e-2 7.8e-2 1.6e+0 4.2e-2 1.1e+2
3.1e-3 3.1e-2 3.1e+0 1.1e-2 6.8e+1
2.5e-3 1.3e-2 2.4e+0 8.5e-2 4.5e+1
2.0e-4 5.3e-3 1.6e-1 2.1e-3 4.9e+1
4.5e-5 2.6e-3 7.8e-2 1.0e-3 2.2e+1
2.7e-5 2.1e-3 9.0e-2 1.0e-3 1.9e+1
1.3e-5 2.0e-3 1.2e-1 8.0e-4 1.9e+1
6.1e-5 3.0e-3 4.2e-1 2.4e-3 1.6e+1
5.0e-4 1.1e-2 1.0e+0 2.4e-2 1.9e+1
3.2e-3 5.2e-2 2.9e+0 1.5e-1 2.8e+1
1.1e-2 1.0e-1 3.2e+0 1.3e-1 5.2e+1
6.1e-6 1.6e-3 1.7e-2 9.0e-5 1.6e+1
"""

_TABLE_5 = """
10.06 24.74 48.95 9.98 42.98
3.75 7.68 21.48 3.69 19.01
1.89 3.62 8.74 1.87 8.51
1.01 1.84 4.00 1.03 4.10
0.56 1.00 2.06 0.59 2.03
0.34 0.77 1.09 0.37 1.09
0.24 0.65 0.60 0.27 0.56
0.18 0.39 0.36 0.22 0.30
0.15 0.27 0.24 0.21 0.18
0.13 0.17 0.19 0.17 0.12
0.12 0.14 0.15 0.17 0.09
0.89 6.73 7.96 1.84 0.73
"""

_TABLE_9 = """
2.55 3.18 2.82 3.93 3.87
1.28 1.60 1.30 2.21 1.97
0.74 1.01 0.78 1.07 1.17
0.46 0.64 0.42 0.60 0.98
0.30 0.43 0.30 0.35 0.60
1.36 2.25 1.37 1.89 3.17
0.72 0.96 0.69 1.01 1.78
0.37 0.55 0.42 0.59 0.99
0.24 0.30 0.29 0.37 0.74
0.19 0.23 0.22 0.26 0.62
0.89 6.73 7.96 1.84 0.73
"""


def _columns(text: str, rows: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Return ``table[system][scheme]`` of a table whose rows are schemes."""
    numbers = [[float(cell) for cell in line.split()] for line in text.split("\n") if line]
    return {
        system: {scheme: row[k] for scheme, row in zip(rows, numbers, strict=True)}
        for k, system in enumerate(SYSTEMS)
    }


#: Tables 6, 7, 8 by level of noise: integrated L2 errors, ``MSE[noise][system][scheme]``.
MSE = {
    0.0: _columns(_TABLE_6, SCHEMES),
    0.01: _columns(_TABLE_7, SCHEMES),
    0.02: _columns(_TABLE_8, SCHEMES),
}

#: Tables 5 and 9: seconds of a forecast of the test set, ``SECONDS[system][scheme]``. What stands
#: in both, ``multiscale``, is equal in them.
SECONDS = {
    system: _columns(_TABLE_5, SCHEMES)[system] | _columns(_TABLE_9, CLASSICAL_SCHEMES)[system]
    for system in SYSTEMS
}

#: Rows and columns of Tables 1 and 3.
SEQUENCES = ("fluid", "video", "music", "ks")
_MODELS = ("hits", "lstm", "esn", "cwrnn")

_TABLE_1 = """
1.23e-7 9.20e-8 2.22e-8 6.79e-7
7.09e-5 1.44e-2 1.62e-3 8.05e-2
8.59e-7 4.65e-5 2.69e-4 4.70e-5
1.04e-3 3.50e+0 3.51e+0 3.59e+0
"""

_TABLE_3 = """
15388 15408 15400 15622
31216 30976 31360 31560
1020416 1018368 1024000 1042328
4069760 4091232 4070400 4076232
"""


def _rows(text: str) -> dict[str, dict[str, float]]:
    """Return ``table[sequence][model]``."""
    lines = [line.split() for line in text.split("\n") if line]
    return {
        sequence: {model: float(cell) for model, cell in zip(_MODELS, line, strict=True)}
        for sequence, line in zip(SEQUENCES, lines, strict=True)
    }


#: Table 1: errors of the sequences generated, ``SEQUENCE_MSE[sequence][model]``. The paper does not
#: say in which units.
SEQUENCE_MSE = _rows(_TABLE_1)

#: Table 3: trained parameters.
PARAMETERS = {
    sequence: {model: int(n) for model, n in row.items()}
    for sequence, row in _rows(_TABLE_3).items()
}
