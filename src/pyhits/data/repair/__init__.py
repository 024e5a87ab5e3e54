"""Data that nobody prepared: uneven times, gaps, missing values, outliers; every repair is said."""

from pyhits.data.repair.outliers import Outlier, outliers_of
from pyhits.data.repair.repairing import Repaired, repair

__all__ = ["Outlier", "Repaired", "outliers_of", "repair"]
