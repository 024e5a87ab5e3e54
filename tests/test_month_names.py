"""Dates with names of months and days in several languages, read and written as they came."""

import csv
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pyhits
from pyhits.cli.app import app
from pyhits.errors import ArgumentError, DataError, PyHiTSWarning

N = 400
DAYS = np.arange("2021-01-25", "2022-12-31", dtype="M8[D]")[:N]

MONTHS = {
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "de.": "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
    "de3": "Jan Feb Mrz Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "fr.": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
    "it3": "gen feb mar apr mag giu lug ago set ott nov dic",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
    "dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "sv3": "jan feb mar apr maj jun jul aug sep okt nov dec",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października "
    "listopada grudnia",
    "en4": "Jan Feb Mar Apr May June July Aug Sept Oct Nov Dec",
    "EN": "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC",
}
WEEK = {
    "de": ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
    "fr": ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
}


def shown(language: str, pattern: str) -> list[str]:
    """Return the days as texts; ``th`` in a pattern is the ending of an English number."""
    found = []
    for day in DAYS:
        year, month, of_month = map(int, str(day).split("-"))
        ending = {1: "st", 2: "nd", 3: "rd"}.get(of_month % 10, "th")
        parts = {
            "day": of_month,
            "month": MONTHS[language].split()[month - 1],
            "year": year,
            "th": "th" if 10 < of_month < 14 else ending,
            "er": "er" if of_month == 1 else "",
            "week": WEEK.get(language[:2], [""] * 7)[(int(day.astype(int)) + 3) % 7],
        }
        found.append(pattern.format(**parts))
    return found


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def read_again(path, texts: list[str]) -> pyhits.Trajectories:
    """Return a table as it was read, if it is written with the dates that it had."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["Datum", "x"])
        out.writerows([text, np.sin(0.1 * k)] for k, text in enumerate(texts))
    data = pyhits.read(path)
    pyhits.write(data, path.with_name("b.csv"))
    with path.with_name("b.csv").open(encoding="utf-8", newline="") as stream:
        assert [row[0] for row in csv.reader(stream)] == ["Datum", *texts]
    return data


@pytest.mark.parametrize("language", MONTHS)
@pytest.mark.parametrize("pattern", ["{day}. {month} {year}", "{year} {month} {day}"])
def test_months_of_everyday_languages(tmp_path, language, pattern):
    data = read_again(tmp_path / "a.csv", shown(language, pattern))
    np.testing.assert_array_equal(data.dates().astype("M8[D]"), DAYS)


@pytest.mark.parametrize(
    ("language", "pattern"),
    [
        ("es", "{day} de {month} de {year}"),
        ("fr", "{day}{er} {month} {year}"),
        ("fr.", "{week} {day} {month} {year}"),
        ("de", "{week}, {day}. {month} {year}"),
        ("de3", "{day}-{month}-{year}"),
        ("EN", "{day}{month}{year}"),
        ("en4", "{month} {day}{th}, {year}"),
        ("en4", "{day}{th} {month} {year} at 3:30 PM"),
    ],
)
def test_what_stands_beside_months(tmp_path, language, pattern):
    data = read_again(tmp_path / "a.csv", shown(language, pattern))
    np.testing.assert_array_equal(data.dates().astype("M8[D]"), DAYS)


@pytest.mark.parametrize(
    "pattern",
    ["%Y. %m. %d.", "%d. %m. %Y", "%Y년 %m월 %d일", "%d.%m.%Y um %H:%M Uhr", "%Y年%m月%d日"],
)
def test_numbers_with_signs_of_their_language(tmp_path, pattern):
    data = read_again(tmp_path / "a.csv", [day.item().strftime(pattern) for day in DAYS])
    np.testing.assert_array_equal(data.dates().astype("M8[D]"), DAYS)


@pytest.mark.parametrize(
    "pattern", ["%-d.%-m.%Y %H:%M", "%d.%m.%Y %-H:%M", "%-m/%-d/%Y %I:%M %p", "%Y-%-m-%-d %-H:%M"]
)
def test_numbers_keep_their_noughts(tmp_path, pattern):
    hours = np.datetime64("2021-11-13T20:30") + np.timedelta64(1, "h") * np.arange(N)
    data = read_again(tmp_path / "a.csv", [hour.item().strftime(pattern) for hour in hours])
    np.testing.assert_array_equal(data.dates(), hours)


def test_months_go_on_in_their_language(tmp_path):
    texts = shown("fr.", "{day} {month} {year}")
    data = read_again(tmp_path / "a.csv", texts[:100])
    pyhits.HiTS(max_steps=20, random_state=0).fit(data).save(tmp_path / "m.safetensors")
    done = run("forecast", tmp_path / "m.safetensors", "--after", tmp_path / "a.csv", "--steps", 30,
               "-o", tmp_path / "c.csv")  # fmt: skip
    assert done.exit_code == 0, done.output
    with (tmp_path / "c.csv").open(encoding="utf-8", newline="") as stream:
        assert [row[0] for row in csv.reader(stream)][1:] == texts[99:130]


@pytest.mark.parametrize("pattern", ["%-d %B %Y", "%d. %m. %Y", "%Y %m %d"])
@pytest.mark.parametrize("header", ["Date,x", "Date (local time),x"])
def test_spaces_in_dates_part_no_columns_where_whole_numbers_follow(tmp_path, pattern, header):
    path = tmp_path / "a.csv"
    rows = [f"{day.item().strftime(pattern)},{k % 7}" for k, day in enumerate(DAYS)]
    path.write_text("\n".join([header, *rows]))
    data = pyhits.read(path)
    assert data.feature_names == ("x",)
    np.testing.assert_array_equal(data.dates().astype("M8[D]"), DAYS)
    path.write_text("t, x\n" + "\n".join(f"{k} {k % 7},5" for k in range(30)))
    assert pyhits.read(path)[0][3, 0] == 3.5


def test_months_of_no_language_are_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("Date,x\n" + "\n".join(f"{k} brumaire 1799,{k}.5" for k in range(1, 20)))
    with pytest.raises(DataError, match=r"'1 brumaire 1799'; 'brumaire' is no month.*01"):
        pyhits.read(path, time_column="Date")
    path.write_text("Date,x\n1 March 1799,1\n2 mars 1799,2\n3 März 1799,4\n")
    with pytest.raises(DataError, match="in another language than the others"):
        pyhits.read(path)


def test_a_clock_before_the_date_is_pointed_out(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("log,x\n" + "\n".join(f"22:{k} 20/02/2021,{k % 7}" for k in range(10, 60)))
    with pytest.warns(PyHiTSWarning, match="If 'log' holds the time, time_column='log'"):
        assert pyhits.read(path).dt == 1
    data = pyhits.read(path, time_column="log", time_format="%H:%M %d/%m/%Y")
    assert data.dt == 60


@pytest.mark.parametrize("directive", ["%[xx]b", "%[fr]b", "%[en_9.]B", "%[zz]d"])
def test_languages_that_are_not_known_are_refused(directive: str, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("date,x\n" + "".join(f"{k} Jan 2001,{k % 3}\n" for k in range(1, 30)))
    pattern = f"{directive} %b %Y" if directive.endswith("d") else f"%d {directive} %Y"
    with pytest.raises(ArgumentError, match=r"knows no \["):
        pyhits.read(table, time_column="date", time_format=pattern)
