"""How the documentation is built: Markdown pages, no network, a warning is an error (`make docs`)."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).parent),
    str(Path(__file__).parents[1]),
]  # question_tables, and the tree it documents

project = "varlake"
author = "the varlake authors"
project_copyright = "the varlake authors, Apache License 2.0"
release = version = installed("varlake")

extensions = ["myst_parser", "question_tables"]
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]  # the glossary

exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"varlake {release}"
html_copy_source = False
