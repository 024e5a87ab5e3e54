"""The times of rows: dates of every form, and the steps of calendars, from data to forecasts."""

from pyhits.timeaxis.axis import NUMBERS, TimeAxis
from pyhits.timeaxis.formats import is_clock, is_date
from pyhits.timeaxis.reading import read_times

__all__ = ["NUMBERS", "TimeAxis", "is_clock", "is_date", "read_times"]
