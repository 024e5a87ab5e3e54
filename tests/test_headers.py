"""Headers of text tables: which first lines hold names, which are rows, and what is asked."""

import warnings
from io import StringIO

import numpy as np
import pytest

import pyhits
from pyhits.errors import ArgumentError, DataError, PyHiTSWarning

pandas = pytest.importorskip("pandas")

N = 60
T = 0.05 * np.arange(N)
RNG = np.random.default_rng(0)
WAVES = np.column_stack([np.sin(3 * T + p) for p in (0.3, 1, 2, 4)])
NOISE = RNG.normal(0, 1, (N, 4))
COUNTS = RNG.integers(0, 100, (N, 4))
BITS = RNG.integers(0, 2, (N, 2))
RAMP = np.column_stack([np.arange(N), np.arange(N) + 1, np.arange(N) + 2])
WAVES_OF_0 = np.column_stack([np.sin(T), np.cos(T)])


def text(rows, fmt="%.6f", delimiter=","):
    stream = StringIO()
    np.savetxt(stream, rows, fmt=fmt, delimiter=delimiter)
    return stream.getvalue()


def frame(rows, **options):
    return pandas.DataFrame(rows).to_csv(**{"index": False, **options})


#: Tables with a line of names: what they hold, and the names.
WITH = {
    "pandas' numbers over waves": (frame(WAVES), ("0", "1", "2", "3")),
    "pandas' numbers over noise": (frame(NOISE), ("0", "1", "2", "3")),
    "pandas' numbers over large counts": (frame(COUNTS + 1000), ("0", "1", "2", "3")),
    "pandas' number over one column": (frame(WAVES[:, :1]), ("0",)),
    "pandas' number over noise": (frame(NOISE[:, :1]), ("0",)),
    "numbers over rows that begin alike": ("0,1\n" + text(WAVES_OF_0, "%.6g"), ("0", "1")),
    "numbers from 1": ("1,2,3,4\n" + text(WAVES), ("1", "2", "3", "4")),
    "years": ("2001,2002,2003,2004\n" + text(WAVES), ("2001", "2002", "2003", "2004")),
    "years over counts": ("1990,2000,2010,2020\n" + text(COUNTS, "%d"), None),
    "wavelengths": (
        "400.5,401.0,401.5,402.0\n" + text(WAVES),
        ("400.5", "401.0", "401.5", "402.0"),
    ),
    "dates": ("2020-01-01,2020-01-02,2020-01-03,2020-01-04\n" + text(WAVES), None),
    "quoted numbers": ('"0","1","2","3"\n' + text(COUNTS, "%d"), ("0", "1", "2", "3")),
    "names": ("a,b,c,d\n" + text(WAVES), ("a", "b", "c", "d")),
    "names and units": ("a,b,c,d\nm,m/s,-,%\n" + text(WAVES), ("a", "b", "c", "d")),
    "names and units in brackets": ("a,b,c,d\n[m],[m/s],[-],[K]\n" + text(WAVES), None),
    "some names are numbers": ("depth,10,20,30\n" + text(WAVES), ("depth", "10", "20", "30")),
    "a blank name over the index": (frame(WAVES, index=True), ("0", "1", "2", "3")),
    "a blank name over noise": (",x,y\n" + text(NOISE[:, :3]), None),
    "R's row names": (
        '"a" "b" "c" "d"\n'
        + "".join(
            f'"{k + 1}" {row}\n' for k, row in enumerate(text(WAVES, delimiter=" ").split("\n")[:N])
        ),
        ("a", "b", "c", "d"),
    ),
    "one name too many, blank": ("a,b,c,d,\n" + text(WAVES), ("a", "b", "c", "d")),
    "delimiters at the ends": (
        "a;b;c;d;\n" + text(WAVES, delimiter=";").replace("\n", ";\n"),
        None,
    ),
    "titles above": ("Logger 7\nstation,Berlin\n\na,b,c,d\n" + text(WAVES), ("a", "b", "c", "d")),
    "a title in a table of commas": ("Logger 7,,,\na,b,c,d\n" + text(WAVES), ("a", "b", "c", "d")),
    "comments above": ("# made in 2020\n# by hand\na,b,c,d\n" + text(WAVES), ("a", "b", "c", "d")),
    "a commented header": ("# a,b,c,d\n" + text(WAVES), ("a", "b", "c", "d")),
    "a commented header of spaces": (
        "# x y z w\n" + text(WAVES, delimiter=" "),
        ("x", "y", "z", "w"),
    ),
    "the sign of comments in names": ("a,#b,c,d\n" + text(WAVES), ("a", "#b", "c", "d")),
    "the sign of comments before each name": ("#a,#b,#c,#d\n" + text(WAVES), ("a", "b", "c", "d")),
    "the same, spaced, below a title": (
        "## run 7\n#a #b #c #d\n" + text(WAVES, delimiter=" "),
        ("a", "b", "c", "d"),
    ),
    "commented names above commented units": (
        "#a,#b,#c,#d\n#V,#V,#m,#m\n" + text(WAVES),
        ("a", "b", "c", "d"),
    ),
    "a commented name of one column": ("#passengers\n" + text(WAVES[:, :1]), ("passengers",)),
    "the sign of comments in a first name": ("#a,b,c,d\n" + text(WAVES), ("a", "b", "c", "d")),
    "another delimiter than below": ("a b c d\n" + text(WAVES), ("a", "b", "c", "d")),
    "a header twice": ("a,b,c,d\n" + text(WAVES[:20]) + "a,b,c,d\n" + text(WAVES[20:]), None),
    "names of several words": (
        "Time (s)  Voltage left (V)  c  d\n"
        + text(np.column_stack([T, WAVES[:, :3]]), delimiter="  "),
        ("Voltage left (V)", "c", "d"),
    ),
    "a spreadsheet's delimiter": ("sep=;\na;b;c;d\n" + text(WAVES, delimiter=";"), None),
    "depths with decimals": ("depth,10.5,20.5,31.5\n" + text(WAVES), None),
    "blank lines around": ("\n\na,b,c,d\n\n" + text(WAVES), ("a", "b", "c", "d")),
    "a name for the dates, numbers for others": (
        "0,1\n" + "".join(f"2020-01-{k + 1:02d},{v}\n" for k, v in enumerate(NOISE[:20, 0])),
        ("1",),
    ),
}

#: Tables without one.
WITHOUT = {
    "waves": text(WAVES),
    "waves from 0 and 1, short": text(WAVES_OF_0, "%.6g"),
    "waves from 0, short": text(WAVES_OF_0[:, :1], "%.6g"),
    "zeros and ones": "0,1\n" + text(BITS, "%d"),
    "counters": text(RAMP, "%d"),
    "times and counters": text(np.column_stack([np.arange(N), RAMP[:, 0] * 3]), "%d"),
    "counts": text(COUNTS, "%d"),
    "one column of counts": text(COUNTS[:, :1] + 100, "%d"),
    "growth from 1": text(np.exp(0.2 * np.arange(N))[:, None], "%.6g"),
    "a decay from afar": text(np.column_stack([1e3 * np.exp(-T), WAVES[:, 0]])),
    "initial state 1 0 0": "1,0,0\n" + text(NOISE[:, :3] * 0.1, "%.6g"),
    "times": text(np.column_stack([T, NOISE[:, 0]]), "%.6g"),
    "dates": "".join(f"2020-01-{k + 1:02d},{v}\n" for k, v in enumerate(NOISE[:20, 0])),
    "quoted throughout": '"' + text(COUNTS, "%d", '","').strip().replace("\n", '"\n"') + '"\n',
    "a value missing at once": "NA,1.5,2.5,0.1\n" + text(WAVES),
    "few rows": "0,1,2\n1,1,2\n5,7,1\n",
}

#: Tables whose first line may be either.
ASKED = {
    "numbers over counts": frame(COUNTS),
    "two numbers over counts": frame(COUNTS[:, :2]),
    "frequencies": "10.5,20.5,30.5,41.5\n" + text(WAVES),
    "other numbers far away": "170,50,30,20\n" + text(WAVES),
}


def n_rows(content):
    return sum(line[0] not in "#" and bool(line.strip()) for line in content.split("\n") if line)


@pytest.mark.parametrize("name", WITH)
def test_a_line_of_names_is_no_row(tmp_path, name):
    content, names = WITH[name]
    path = tmp_path / "a.csv"
    path.write_text(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pyhits.read(path)
    assert data.n_rows == (20 if "dates, numbers" in name else N)
    if names is not None:
        assert data.feature_names == names
    assert np.abs(data.values).max() < 1200


@pytest.mark.parametrize("name", WITHOUT)
def test_a_first_row_stays(tmp_path, name):
    path = tmp_path / "a.csv"
    path.write_text(WITHOUT[name])
    expected = len(WITHOUT[name].strip().split("\n"))
    data = pyhits.repair(path).trajectories if "missing" in name else pyhits.read(path)
    assert data.n_rows == expected - ("missing" in name)


@pytest.mark.parametrize("name", ASKED)
def test_what_may_be_either_is_asked(tmp_path, name):
    path = tmp_path / "a.csv"
    path.write_text(ASKED[name])
    with pytest.raises(DataError, match=r"header=True \(--header\) .*header=False \(--no-header\)"):
        pyhits.read(path)
    assert pyhits.read(path, header=True).n_rows == N
    assert pyhits.read(path, header=False).n_rows == N + 1


def test_what_is_known_is_taken(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("0,1\n0,1\n1,0\n0,0\n1,1\n")
    assert pyhits.read(path, header=True).feature_names == ("0", "1")
    assert pyhits.read(path, header=False).n_rows == 5
    with pytest.raises(ArgumentError, match="header is for"):
        pyhits.read(pyhits.write(pyhits.read(path), tmp_path / "a.npz"), header=True)


def test_a_header_that_fits_no_row_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + text(WAVES))
    with pytest.raises(pyhits.PyHiTSError, match="names 2 columns, but line 2 has 4"):
        pyhits.read(path)
    assert pyhits.read(path, names=list("abcd")).feature_names == ("a", "b", "c", "d")


def test_names_in_quotes_may_have_line_breaks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('t,"speed\n(m/s)","a\nb\nc"\n' + text(np.column_stack([T, WAVES_OF_0])))
    data = pyhits.read(path)
    assert data.feature_names == ("speed (m/s)", "a b c")
    np.testing.assert_allclose(data[0], WAVES_OF_0, atol=1e-6)
    path.write_text('t,"size",x\n' + "".join(f'{k},{k}" pipe,{k % 3}\n' for k in range(9)))
    with pytest.warns(PyHiTSWarning, match="Units next to the numbers"):
        assert len(pyhits.read(path)[0]) == 9
