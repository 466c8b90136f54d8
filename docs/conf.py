"""Sphinx: pages in MyST Markdown, of which those with code are run, and a generated reference."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for the extensions of this folder

import jaxal  # noqa: E402

# What pages run goes by the CPU, is compiled quickly, and is kept for the next build.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(HERE / "_build" / "compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

project = "jaxal"
author = "the jaxal authors"
copyright = "the jaxal authors"
version = release = jaxal.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "docstrings",
    "gallery",
    "reference",
    "settings",
]
smartquotes = False  # `--seeds` stays two hyphens
exclude_patterns = ["_build", "jupyter_execute"]

html_theme = "sphinx_book_theme"
html_title = "jaxal"
html_static_path = ["_static"]
html_css_files = ["code.css"]
html_theme_options = {
    "show_toc_level": 1,
    "navbar_persistent": [],  # the side bar has the search field
}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "executed")
nb_execution_timeout = 180
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_render_markdown_format = "myst"  # with tables

default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autosummary_generate = False
napoleon_custom_sections = [("Fields", "params_style")]
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
