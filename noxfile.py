"""The package with the oldest and the newest versions that it declares: ``nox``.

    nox                                    # quick tests: three Pythons, oldest and newest packages
    nox -s "tests-3.13(versions='oldest')"
    nox -s "tests-3.11(versions='newest')" -- tests   # the whole suite, or any files
    nox -s docs package                    # the site; wheel and source archive, each tried

``oldest`` takes the least version of every package in ``pyproject.toml`` that has a wheel for the
Python; ``newest`` what the package index has. Pythons must be there as ``python3.11`` and so on.
"""

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["tests"]

#: Test files that between them enter every room of the house, in some minutes.
QUICK = [
    f"tests/test_{name}.py"
    for name in (
        "callbacks",
        "cli_options",
        "containers",
        "dates",
        "encoders",
        "estimator",
        "fused",
        "hybrid",
        "integrators",
        "io",
        "io_media",
        "io_netcdf",
        "io_stored",
        "io_zarr",
        "metrics",
        "modelfile",
        "plots",
        "policies",
        "simple_baselines",
        "systems",
    )
]

#: Export asks for a newer PyTorch than all else, and is left out of the oldest.
EXPORT = "tests/test_export.py"
WITHOUT_EXPORT = "test,fast,pandas,parquet,hdf5,netcdf,zarr,video,dask,torchdiffeq,tensorboard"

#: Packages whose versions are of interest.
SHOWN = (
    "torch",
    "numpy",
    "scipy",
    "matplotlib",
    "pandas",
    "xarray",
    "h5py",
    "zarr",
    "av",
    "llvmlite",
)


@nox.session(python=["3.11", "3.12", "3.13"])
@nox.parametrize("versions", ["oldest", "newest"])
def tests(session: nox.Session, versions: str) -> None:
    """Run quick tests, or what stands after ``--``."""
    how = "lowest-direct" if versions == "oldest" else "highest"
    extras, files = (WITHOUT_EXPORT, QUICK) if versions == "oldest" else ("dev", [*QUICK, EXPORT])
    wheels = ("--only-binary", ":all:", "--no-binary", "pyhits")
    session.install("--resolution", how, *wheels, "-e", f".[{extras}]")
    show = f"from importlib.metadata import version as v; print({{n: v(n) for n in {SHOWN}}})"
    session.run("python", "-c", show)
    session.run("pytest", *(session.posargs or files), env={"OMP_NUM_THREADS": "1"})


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """Build the site; warnings are errors."""
    session.install("-e", ".[docs]")
    options = ("-W", "--keep-going", "-b", "html")
    session.run(
        "python", "-m", "sphinx", *options, "docs", "docs/_build/html", env={"OMP_NUM_THREADS": "1"}
    )


@nox.session(python="3.11")
def package(session: nox.Session) -> None:
    """Build wheel and source archive, check them, and try the wheel in an empty environment."""
    session.install("build", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))
    wheel = next(Path("dist").glob("*.whl")).resolve()
    empty = Path(session.create_tmp()) / "empty"
    session.run("uv", "venv", "--clear", str(empty), external=True)
    session.run("uv", "pip", "install", "-p", str(empty), str(wheel), external=True)
    session.chdir(session.create_tmp())
    session.run(str(empty / "bin" / "pyhits"), "demo", "--out", "demo", external=True)
