"""Configuration of Sphinx; ``make docs`` builds the pages without network access."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "Lahar"
author = copyright = "The Lahar developers"  # noqa: A001 - the name is Sphinx's
release = metadata.version("lahar")

extensions = ["sphinx.ext.autodoc", "numpydoc", "reference_pages"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Lahar {release}"
html_copy_source = False

autodoc_typehints = "none"  # numpydoc sections give the types
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
