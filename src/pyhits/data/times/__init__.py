"""The times of rows: dates of every form, and the steps of calendars, from data to forecasts."""

from pyhits.data.times.axis import NUMBERS, TimeAxis
from pyhits.data.times.formats import is_clock, is_date
from pyhits.data.times.reading import read_times
from pyhits.data.times.style import SHOWN, TimeStyle

__all__ = ["NUMBERS", "SHOWN", "TimeAxis", "TimeStyle", "is_clock", "is_date", "read_times"]
