"""How the documentation is built: Markdown pages, no network, a warning is an error (`make docs`)."""

from importlib.metadata import version as installed

project = "varlake"
author = "the varlake authors"
project_copyright = "the varlake authors, Apache License 2.0"
release = version = installed("varlake")

extensions = ["myst_parser"]
myst_heading_anchors = 3

exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"varlake {release}"
html_copy_source = False
