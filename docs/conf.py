"""How Sphinx builds the site: ``make docs``."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "src"))
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import reference  # noqa: E402
import torch  # noqa: E402

import pyhits  # noqa: E402

torch.set_num_threads(1)
project = "PyHiTS"
author = copyright = "the PyHiTS developers"
version = release = pyhits.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "images/*.py"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": [str(HERE.parent / "examples" / "gallery")],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"/\d\d_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "reference_url": {"pyhits": None},
    "doc_module": ("pyhits",),
    "backreferences_dir": "gallery/of",
    "matplotlib_animations": False,
    "ignore_repr_types": r"matplotlib|numpy\.ndarray",
    "first_notebook_cell": "%matplotlib inline",
}

html_theme = "pydata_sphinx_theme"
html_title = f"PyHiTS {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
#: Where the site will stand, without a slash at its end; switcher.json there lists versions.
SITE = os.environ.get("PYHITS_SITE", "")
html_theme_options = {
    "switcher": {"json_url": f"{SITE}/_static/switcher.json", "version_match": release},
    "check_switcher": False,
    "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": []}

# Figures of the gallery are made without a screen; what a fit says of its data belongs to no page.
warnings.filterwarnings("ignore", message=".*FigureCanvasAgg is non-interactive.*")


#: Where links lead on the site that lead to files beside the pages in the repository.
MOVED = {
    "(../README.md": "(reference/readme.md",
    "(../CONTRIBUTING.md": "(reference/contributing.md",
    "(../CHANGELOG.md": "(reference/changelog.md",
    "(../examples/gallery)": "(gallery/index.rst)",
    "```python no-run": "```python",
}


def moved(app, name, source):
    """Let links to files outside of the pages lead to their copies."""
    for before, after in MOVED.items():
        source[0] = source[0].replace(before, after)


def setup(app):
    """Write a page for each public name before anything is read."""
    app.connect("builder-inited", lambda app: reference.write(HERE / "reference"))
    app.connect("source-read", moved)
