"""What the names of columns say: which may hold the time, which number the trajectories."""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum
from functools import lru_cache

TRAJECTORY_NAMES = frozenset(["trajectory", "trajectory_id", "traj", "traj_id", "run", "run_id"])

#: Names longer than this are prose.
_LONGEST_NAME = 80


class TimeName(IntEnum):
    """How surely a name says that its column holds the time."""

    NO = 0
    #: It counts something or is a unit of time: ``frame``, ``hour``. The values decide.
    COUNT = 1
    #: It says time together with other words, or in another language: ``time_s``, ``Zeit``.
    LIKELY = 2
    #: It says time and nothing else: ``t``, ``time``, ``Date``.
    SURE = 3


def frozen_words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


_SURE = frozen_words(
    "t time times timestamp timestamps date dates datetime datetimes year years second seconds"
)

#: Words for time, by language where they are not English.
_TIMES = frozen_words(
    "t time times timestamp timestamps timestep date dates datetime datetimes dteday clock "
    "walltime simtime systime localtime unixtime elapsedtime timepoint timepoints dateandtime "
    "laufzeit messzeit messzeitpunkt versuchszeit timecode when instant quand cuando "
    "zeit uhrzeit zeitpunkt zeitstempel datum "  # German, with Dutch and Swedish
    "horodatage horodate fecha tiempo hora orario ora istante tijd tijdstip dato tid tidpunkt "
    "czas godzina \u010das cas ido id\u0151 d\u00e1tum aika zaman tarih waktu tanggal vreme "
    "\u0432\u0440\u0435\u043c\u044f \u0434\u0430\u0442\u0430 \u03c7\u03c1\u03cc\u03bd\u03bf\u03c2 "
    "\u65f6\u95f4 \u6642\u9593 \u65e5\u671f \u65e5\u4ed8 \u65f6\u523b \u6642\u523b "
    "\uc2dc\uac04 \ub0a0\uc9dc"
)

#: Words that are times only by their values: ``temps`` and ``tempo`` mean other things too.
_UNSURE_TIMES = frozen_words(
    "temps tempo data epoch epochs ts ds dt elapsed jd mjd bjd hjd julian julianday juliandate "
    "tow sow stamp"
)

_UNITS = frozen_words(
    "s sec secs second seconds sekunde sekunden seconde secondes segundo segundos secondi "
    "ms msec msecs milli millis millisec millisecond milliseconds "
    "us usec usecs \u00b5s \u03bcs micros microsec microsecond microseconds "
    "ns nsec nanos nanosec nanosecond nanoseconds ps fs "
    "min mins minute minutes minuten minuto minutos minuti "
    "h hr hrs hour hours stunde stunden heure heures horas uur "
    "d day days tag tage jour jours dia d\u00eda dias d\u00edas giorno giorni dag dagen "
    "week weeks wk wks woche wochen semaine semaines semana semanas settimana "
    "month months mon mo monat monate mois mes meses mese mesi maand "
    "quarter quarters qtr quartal trimestre "
    "year years yr yrs jahr jahre an ann\u00e9e annee ann\u00e9es annees "
    "a\u00f1o a\u00f1os ano anos anno anni jaar \u00e5r rok \u0433\u043e\u0434 \u5e74 \u5e74\u5ea6 "
    "decade decades century kyr myr "
    "doy yday dayno daynumber weekno dayofyear weekofyear yearday yearmonth yyyymm yyyymmdd"
)

#: Units that stand for too many other things to mean time by themselves.
_LETTERS = frozen_words("s h d ps fs an a mon mo")

_COUNTS = frozen_words(
    "index indices idx frame frames frameno framenumber step steps tick ticks sample samples "
    "sampleno row rows rownum rowname rownames rowid iteration iterations iter iters "
    "cycle cycles generation generations "
    "no nr num number id unnamed level observation obs record rec scan point seq sequence counter "
    "period periods"
)

#: Words that go with those for time without changing what they say.
_QUALIFIERS = frozen_words(
    "elapsed since start started end ended of the in from at to and on rel relative abs absolute "
    "local utc gmt est cet pst ist jst ut tt tai gps unix posix epoch julian gregorian iso iso8601 "
    "rfc system sys sim simulation simulated model physical real wall world universal standard "
    "sampling measurement measuring measured meas measure recording recorded observed observation "
    "obs log logged logger device sensor rtc decimal fractional frac dec calendar valid event "
    "created updated received captured acquired acq reported beginning begin run experiment exp "
    "trial flight mission video film stamp point value axis no nr num number id idx index unit "
    "units hh mm ss hhmm hhmmss yyyy yy dd ddmmyyyy mmddyyyy trading trade business quote ending "
    "der des seit de la el del du le depuis desde inicio"
)

#: What was done at some time: ``recorded_at``, ``created_on``.
_DEEDS = frozen_words(
    "created updated recorded observed measured logged received captured acquired reported started"
)


def plain_name(name: str, *, lower: bool = True) -> str:
    """Return a column name in lower case without its unit: ``"Time [s]"`` becomes ``"time"``."""
    plain = re.sub(r"[\[(].*$", "", name).strip().strip("#").strip()
    return plain.lower() if lower else plain


@lru_cache(maxsize=4096)
def time_name(name: str) -> TimeName:
    """Return how surely a column name says that the column holds the time.

    Words end at spaces, signs and capitals, and a unit in brackets or behind a slash is
    left out: ``Time(s)``, ``elapsedTime``, ``t_sec``, ``date/time``. A name with a word that has
    nothing to do with time (``reaction_time``, ``hours_worked``) says nothing.
    """
    if not name or len(name) > _LONGEST_NAME:
        return TimeName.NO
    plain = plain_name(name, lower=False) or name.strip(" []()#")
    if plain == "T":  # as often a temperature or a period
        return TimeName.COUNT
    if plain.lower() in _SURE:
        return TimeName.SURE
    words = _split(plain)
    if not words:
        return TimeName.NO
    if len(words) == 1:
        return _of_one(words[0])
    if words in (["unnamed", "0"], ["level", "0"]):
        return TimeName.COUNT
    if words[-1] in ("at", "on") and words[0] in _DEEDS:
        return TimeName.LIKELY
    return _of_several(words)


def _of_one(word: str) -> TimeName:
    if word in _TIMES:
        return TimeName.COUNT if word in _UNITS else TimeName.LIKELY
    if word in _UNSURE_TIMES or word in _COUNTS or word in frozen_words("utc gmt unix posix"):
        return TimeName.COUNT
    return TimeName.COUNT if word in _UNITS and word not in _LETTERS else TimeName.NO


def _of_several(words: list[str]) -> TimeName:
    """Return what several words say: one for time, a unit or a count, and what goes with them."""
    known = _TIMES | _UNSURE_TIMES | _UNITS | _COUNTS | _QUALIFIERS
    if not all(word in known for word in words):
        return TimeName.NO
    # The lowest temperature is t_min as well.
    if any(word in _TIMES and word != "t" for word in words):
        return TimeName.LIKELY
    says = _UNSURE_TIMES | _COUNTS | (_UNITS - _LETTERS) | {"t"}
    return TimeName.COUNT if any(word in says for word in words) else TimeName.NO


def _split(name: str) -> list[str]:
    """Return the words of a name, in lower case."""
    spaced = re.sub(r"(?<=[a-z\d])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", spaced).lower())
    return [part for word in words for part in _without_unit(word)]


def _without_unit(word: str) -> list[str]:
    """Return a unit apart from the time that it is written onto: ``timesec``, ``tms``."""
    found = re.fullmatch(r"(time|date|datetime|timestamp|elapsed|t)(\w{1,4})", word)
    if found and word not in _TIMES | _SURE:
        base, rest = found.groups()
        if rest in _UNITS - _LETTERS or (base != "t" and rest in _UNITS | {"utc", "gmt"}):
            return [base, rest]
    return [word]


def is_time_name(name: str) -> bool:
    """Tell whether a column name says that the column holds the time, whatever its values."""
    return time_name(name) is TimeName.SURE


def is_trajectory_name(name: str) -> bool:
    """Tell whether a column name says that the column numbers the trajectories."""
    return plain_name(name) in TRAJECTORY_NAMES


def is_count_name(name: str) -> bool:
    """Tell whether a column name says that the column counts something, without a unit of time."""
    words = _split(plain_name(name, lower=False))
    units = _UNITS | _UNSURE_TIMES | {"t"}
    return time_name(name) is TimeName.COUNT and not any(word in units for word in words)
