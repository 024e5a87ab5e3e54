"""PyHiTS beside libraries on five kinds of data: ``python -m benchmarks.neighbours``."""
