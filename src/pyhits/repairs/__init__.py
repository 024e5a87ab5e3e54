"""Data that nobody prepared: uneven times, gaps, missing values, outliers; every repair is said."""

from pyhits.repairs.outliers import Outlier, outliers_of
from pyhits.repairs.repair import Repaired, repair

__all__ = ["Outlier", "Repaired", "outliers_of", "repair"]
