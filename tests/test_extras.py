"""Formats whose packages are not installed: one sentence with the extra, and the others work."""

import json
import os
import subprocess
import sys

import pytest

# Torch is loaded once; what a package's absence does is found out in a process of its own.
SCRIPT = """
import json, os, sys, warnings
import numpy as np, pyhits, pyhits.hits
warnings.simplefilter("ignore")
data = pyhits.Trajectories(np.random.default_rng(0).random((10, 256)) * 255, 0.5, grid=(16, 16))
folder, cases = sys.argv[1], json.loads(sys.argv[2])

def outcomes(extensions):
    found = {}
    for extension in extensions:
        name = f"{folder}/a{extension}"
        acts = {"Writing": lambda: pyhits.write(data, name), "Reading": lambda: pyhits.read(name)}
        for what, act in acts.items():
            try:
                act()
                found[f"{what} {extension}"] = "done"
            except pyhits.errors.PyHiTSError as error:
                found[f"{what} {extension}"] = f"{type(error).__name__} {error}"
    return found

for hidden, extensions in cases.items():
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        for name in hidden.split(","):
            sys.modules[name] = None
        print(json.dumps([hidden, outcomes(extensions)]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""

EXTENSIONS = (".csv", ".npz", ".npy", ".mat", ".h5", ".nc", ".zarr", ".parquet", ".gif")
NEEDED = {
    "h5py": {".h5": "hdf5", ".nc": "netcdf"},
    "h5netcdf": {".nc": "netcdf"},
    "xarray": {".nc": "netcdf", ".zarr": "zarr"},
    "pandas": {".nc": "netcdf", ".zarr": "zarr", ".parquet": "parquet"},
    "pyarrow": {".parquet": "parquet"},
    "av": {".gif": "video"},
    "zarr": {".zarr": "zarr"},
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="hides packages in processes that are forked")
def test_one_sentence_names_the_extra(tmp_path):
    import pyhits

    data = pyhits.Trajectories([[0.0] * 256, [255.0] * 256, [0.0] * 256], 0.5, grid=(16, 16))
    for extension in EXTENSIONS:
        pyhits.write(data, tmp_path / f"a{extension}")
    cases = {name: [".npz", *extras] for name, extras in NEEDED.items()}
    cases[",".join(NEEDED)] = [*EXTENSIONS]
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), json.dumps(cases)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = dict(json.loads(line) for line in done.stdout.splitlines())
    assert list(told) == list(cases), done.stderr
    for hidden, found in told.items():
        lacking: dict[str, str] = {}
        for name in hidden.split(","):
            lacking |= NEEDED[name]
        for act, outcome in found.items():
            extension = act.split()[1]
            if extension not in lacking:
                assert outcome == "done", (hidden, act, outcome)
            else:
                assert outcome.startswith(f"MissingExtraError {act} files needs"), hidden
                assert outcome.endswith(f'pip install "pyhits[{lacking[extension]}]"'), hidden
