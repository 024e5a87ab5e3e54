"""How far a forecast can be trusted: intervals around it, and the region that data were seen in."""

from pyhits.trust.conformal import Calibration
from pyhits.trust.region import Region
from pyhits.trust.result import Forecast

__all__ = ["Calibration", "Forecast", "Region"]
