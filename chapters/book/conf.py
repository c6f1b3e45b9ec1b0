"""Settings of the book: `make book` publishes the stored notebooks as a site.

The root of the documents is the root of the repository, so a page has the
address of its file, and a link between files is a link between pages. What
Sphinx cannot do by itself is in publish.py.
"""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

_pyproject = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)
address = _pyproject["project"]["urls"]["Repository"]

project = "Convolutional autoencoders, measured"
author = _pyproject["project"]["authors"][0]["name"]
copyright = f"{author}; text and figures CC BY 4.0, code MIT"

# The tables of contents take the chapters by patterns too: see publish.py.
root_doc = "README"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "data/README.md",
    "chapters/*.md",
    "chapters/[0-9][0-9]_*.ipynb",
    "chapters/solutions/[0-9][0-9]_*.ipynb",
]
# Not to be searched for documents: thousands of files, none of them a page.
exclude_patterns = [
    ".*",
    "ae_lib",
    "build",
    "data/[a-z]*",
    "dist",
    "runs",
    "tests",
]
exclude_patterns += ["**/.ipynb_checkpoints"]

extensions = ["myst_nb", "publish"]
nb_execution_mode = (
    "off"  # a page shows what `make notebooks` stored and tests checked
)
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
myst_heading_slug_func = "publish.anchor"
highlight_language = "none"

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["static"]
html_css_files = ["book.css"]
html_math_renderer = (
    "mathml"  # publish.py: no script, so it works without a network
)
html_copy_source = False
html_theme_options = {
    "repository_url": address,
    "repository_branch": "main",
    "path_to_docs": "",
    "use_repository_button": True,
    "navbar_persistent": [],  # or there are two search fields
    "show_toc_level": 2,
    "show_navbar_depth": 1,
}

# Slides: sphinx-build -t slides -b revealjs. The stylesheets and the script of
# reveal.js come with sphinx-revealjs, so that no network is needed.
if tags.has("slides"):  # noqa: F821 (Sphinx puts it here)
    root_doc = "chapters/00_start_here"
    include_patterns = [
        pattern for pattern in include_patterns if "ipynb" in pattern
    ]
    # A lecture is a page, not a book; `make book` checks the links.
    suppress_warnings = ["toc.not_included", "myst.xref_missing"]
    extensions.append("sphinx_revealjs")
    revealjs_static_path = ["static"]
    revealjs_css_files = ["slides.css"]
    nb_mime_priority_overrides = [
        ("revealjs", kind, place)
        for place, kind in enumerate(("image/png", "text/html", "text/plain"))
    ]
    revealjs_style_theme = "white"
    revealjs_script_conf = {
        "width": 1280,
        "height": 720,
        "margin": 0.03,
        "center": False,
        "hash": True,
        "slideNumber": "c/t",
        "transition": "none",
    }
