"""Names of months and of days of the week, in the languages that tables are often written in."""

# ruff: noqa: RUF001
from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

#: Months in full, as they stand in a date; where they stand otherwise without a day, once more.
_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "de_AT": "Jänner Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
    "dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
    "dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "da": "januar februar marts april maj juni juli august september oktober november december",
    "nb": "januar februar mars april mai juni juli august september oktober november desember",
    "fi": "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta "
    "syyskuuta lokakuuta marraskuuta joulukuuta",
    "fi_1": "tammikuu helmikuu maaliskuu huhtikuu toukokuu kesäkuu heinäkuu elokuu syyskuu "
    "lokakuu marraskuu joulukuu",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października "
    "listopada grudnia",
    "pl_1": "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik "
    "listopad grudzień",
    "cs": "ledna února března dubna května června července srpna září října listopadu prosince",
    "cs_1": "leden únor březen duben květen červen červenec srpen září říjen listopad prosinec",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "ru_1": "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
    "tr": "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
    "id": "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember",
    "hu": "január február március április május június július augusztus szeptember október "
    "november december",
}

#: Months in short, where these are not the first three letters.
_SHORT = {
    "en_4": "Jan Feb Mar Apr May June July Aug Sept Oct Nov Dec",
    "de_3": "Jan Feb Mrz Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "de_4": "Jan Feb März Apr Mai Juni Juli Aug Sept Okt Nov Dez",
    "fr_4": "janv févr mars avr mai juin juil août sept oct nov déc",
    "es_4": "ene feb mar abr may jun jul ago sept oct nov dic",
    "nl_3": "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "hu_4": "jan febr márc ápr máj jún júl aug szept okt nov dec",
}

_DAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
    "it": "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    "pt": "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
    "nl": "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
    "sv": "måndag tisdag onsdag torsdag fredag lördag söndag",
    "da": "mandag tirsdag onsdag torsdag fredag lørdag søndag",
    "pl": "poniedziałek wtorek środa czwartek piątek sobota niedziela",
    "ru": "понедельник вторник среда четверг пятница суббота воскресенье",
    "tr": "Pazartesi Salı Çarşamba Perşembe Cuma Cumartesi Pazar",
}


class Spelling(NamedTuple):
    """How a column writes the names of months, or of days of the week."""

    directive: str  # that writes others like them: ``"%B"``, or ``"%[fr_4.]-b"`` for ``"févr."``
    numbers: dict[str, int]  # numbers of the names, from 1, by the names as they stand there


def _folded(word: str) -> str:
    """Return a word without its accents, capitals and full stop."""
    parts = unicodedata.normalize("NFKD", word.casefold().rstrip("."))
    return "".join(c for c in parts if not unicodedata.combining(c))


@lru_cache(maxsize=1)
def _styles() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the names of each way to write months or days, by ``b B a A`` and its key."""
    found: dict[str, dict[str, tuple[str, ...]]] = {
        "B": {key: tuple(names.split()) for key, names in _MONTHS.items()},
        "b": {key: tuple(names.split()) for key, names in _SHORT.items()},
        "A": {key: tuple(names.split()) for key, names in _DAYS.items()},
        "a": {},
    }
    for letter, full in (("b", "B"), ("a", "A")):
        for key, names in found[full].items():
            for n in (3, 2) if letter == "a" else (3,):
                short = tuple(name[:n] for name in names)
                if len(set(short)) == len(short):
                    found[letter].setdefault(key if n == 3 else f"{key}_2", short)
    return found


class _Language(NamedTuple):
    """The names of one language, folded, with their numbers: all, and by letter and key."""

    every: dict[str, int]
    styles: dict[tuple[str, str], dict[str, int]]


@lru_cache(maxsize=2)
def _languages(letters: str) -> list[_Language]:
    found: dict[str, _Language] = {}
    for letter in letters:
        for key, names in _styles()[letter].items():
            numbers = {_folded(name): k for k, name in enumerate(names, start=1)}
            language = found.setdefault(key[:2], _Language({}, {}))
            language.styles[letter, key] = numbers
            language.every.update(numbers | language.every)
    return list(found.values())


@lru_cache(maxsize=4096)
def spelling_of(words: tuple[str, ...], letters: str = "Bb") -> Spelling | None:
    """Return how words name months, or days of the week for ``"Aa"``; None if one is no such name.

    The words of one column are of one language.
    """
    folded = {word: _folded(word) for word in words}
    for every, styles in _languages(letters):
        if all(plain in every for plain in folded.values()):
            letter, key = max(styles, key=lambda own: len(styles[own].keys() & folded.values()))
            numbers = {word: every[plain] for word, plain in folded.items()}
            return Spelling(_directive(words, letter, key), numbers)
    return None


def _directive(words: Sequence[str], letter: str, key: str) -> str:
    """Return the directive that writes names like some, with their full stops and capitals."""
    key += "." if letter in "ab" and any(word.endswith(".") for word in words) else ""
    plain = [word.rstrip(".") for word in words]
    mark = "^" if all(map(str.isupper, plain)) else "-" if all(map(str.islower, plain)) else ""
    return f"%{mark}{letter}" if key == "en" else f"%[{key}]{mark}{letter}"


def is_style(letter: str, key: str) -> bool:
    """Tell whether a directive's letter has names of a language, ``"fr_4."``; English without."""
    return not key or key.rstrip(".") in _styles().get(letter, {})


def names_of(letter: str, key: str, mark: str) -> list[str]:
    """Return the months, or days of the week, that a directive writes.

    Parameters
    ----------
    letter, key, mark : str
        ``"b"``, ``"fr_4."`` and ``"-"`` of ``"%[fr_4.]-b"``; the key as :func:`is_style` knows it.
    """
    key = key or "en"
    names = _styles()[letter][key.rstrip(".")]
    if key.endswith("."):
        full = _styles()[letter.upper()][key[:2]]
        names = tuple(n if n == f else f"{n}." for n, f in zip(names, full, strict=True))
    if mark:
        return [name.upper() if mark == "^" else name.lower() for name in names]
    return [name[0].upper() + name[1:] for name in names]
