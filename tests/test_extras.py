"""Formats whose packages are not installed: one sentence with the extra, and the others work."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, warnings
for name in sys.argv[2].split(","):
    sys.modules[name] = None
import numpy as np, pyhits
warnings.simplefilter("ignore")
folder, found = sys.argv[1], {}
data = pyhits.Trajectories(np.random.default_rng(0).random((10, 256)) * 255, 0.5, grid=(16, 16))
for extension in sys.argv[3].split(","):
    name = f"{folder}/a{extension}"
    acts = {"Writing": lambda: pyhits.write(data, name), "Reading": lambda: pyhits.read(name)}
    for what, act in acts.items():
        try:
            act()
            found[f"{what} {extension}"] = "done"
        except pyhits.errors.PyHiTSError as error:
            found[f"{what} {extension}"] = f"{type(error).__name__} {error}"
print(json.dumps(found))
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


@pytest.mark.parametrize("hidden", [*NEEDED, ",".join(NEEDED)])
def test_one_sentence_names_the_extra(tmp_path, hidden):
    import pyhits

    data = pyhits.Trajectories([[0.0] * 256, [255.0] * 256, [0.0] * 256], 0.5, grid=(16, 16))
    for extension in EXTENSIONS:
        pyhits.write(data, tmp_path / f"a{extension}")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), hidden, ",".join(EXTENSIONS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lacking: dict[str, str] = {}
    for name in hidden.split(","):
        lacking |= NEEDED[name]
    for act, outcome in json.loads(done.stdout).items():
        extension = act.split()[1]
        if extension not in lacking:
            assert outcome == "done", (act, outcome)
        else:
            assert outcome.startswith(f"MissingExtraError {act} files needs")
            assert outcome.endswith(f'pip install "pyhits[{lacking[extension]}]"')
