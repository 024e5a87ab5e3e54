"""How far a forecast can be trusted: intervals around it, and the region that data were seen in."""

from pyhits.forecasting.uncertainty.conformal import Calibration
from pyhits.forecasting.uncertainty.region import Region
from pyhits.forecasting.uncertainty.result import Forecast

__all__ = ["Calibration", "Forecast", "Region"]
