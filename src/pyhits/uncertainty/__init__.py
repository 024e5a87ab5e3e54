"""How far a forecast can be trusted: intervals around it, and the region that data were seen in."""

from pyhits.uncertainty.conformal import Calibration
from pyhits.uncertainty.region import Region
from pyhits.uncertainty.result import Forecast

__all__ = ["Calibration", "Forecast", "Region"]
