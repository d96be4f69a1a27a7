"""The documentation: it builds without a warning and without network access, and its examples run."""

import doctest
import importlib.util
import re
import shutil
import socket
from pathlib import Path

import pytest

import lahar.processes
from lahar.processes import errors

DOCS = Path(__file__).parents[1] / "docs"
GUIDES = sorted(DOCS.glob("*.rst"))

needs_sphinx = pytest.mark.skipif(
    importlib.util.find_spec("sphinx") is None, reason="sphinx is not installed: pip install 'lahar[docs]'"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the folder of HTML pages, built from a copy, and what was warned of."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    folder = tmp_path_factory.mktemp("docs")
    source, html = folder / "docs", folder / "html"
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("generated", "_build", "__pycache__"))

    def refuse(*args, **kwargs):
        raise OSError("the documentation must build without network access")

    with pytest.MonkeyPatch.context() as patch, docutils_namespace(), open(folder / "warnings", "w+") as log:
        patch.setattr(socket.socket, "connect", refuse)
        app = Sphinx(source, source, html, folder / "doctrees", "html", status=None, warning=log)
        app.build()
        log.seek(0)
        return html, re.sub(r"\x1b\[[\d;]*m", "", log.read())


@needs_sphinx
def test_builds_without_a_warning(built):
    assert built[1] == ""


@needs_sphinx
def test_every_public_class_has_a_page_with_its_docstring(built):
    for name in lahar.processes.__all__:
        page = re.sub(r"<[^>]+>", "", (built[0] / "generated" / f"{name}.html").read_text())
        first = (getattr(lahar.processes, name).__doc__ or "").strip().split()[0].strip("`*")
        assert first in page, name


@needs_sphinx
def test_signatures_are_those_of_the_constructors(built):
    page = re.sub(r"<[^>]+>", "", (built[0] / "generated" / "Dense.html").read_text())
    assert "Dense(*, weights, name=None, num_message_bits=0, log_config=None, **kwargs)" in page


@needs_sphinx
def test_classes_are_grouped(built):
    page = (built[0] / "generated" / "reference.html").read_text()
    headings = re.findall(r"<h2>([^<]+)<", page)
    assert headings[:5] == ["Building blocks", "Neurons", "Connections", "Learning", "Input and output"]


@needs_sphinx
def test_every_error_is_listed_with_its_repair(built):
    page = re.sub(r"<[^>]+>", "", (built[0] / "generated" / "errors.html").read_text())
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    names = [cls.__name__ for cls in classes if issubclass(cls, errors.LaharError)]
    assert len(names) > 20
    for name in names:
        assert name in page
    assert "Put a delay into the loop" in page


@needs_sphinx
def test_every_finding_is_listed(built):
    check = importlib.import_module("lahar.compiler.check")
    page = (built[0] / "generated" / "checks.html").read_text()
    codes = set(re.findall(r"^(L\d{3}) ", check.__doc__, re.M))
    assert len(codes) > 10
    assert not [code for code in codes if code not in page]


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_examples_of_the_guides_run(path, monkeypatch):
    for variable in ("LAHAR_PARTITIONS", "LAHAR_SYNC", "LAHAR_LAUNCHER"):
        monkeypatch.delenv(variable, raising=False)
    assert doctest.testfile(str(path), module_relative=False, encoding="utf-8").failed == 0


def test_guides_with_examples():
    assert [path.stem for path in GUIDES if ">>> " in path.read_text()] == ["models", "running", "utilities"]


def test_every_tutorial_is_listed():
    listed = re.findall(r"^``(\d\d_\w+)``", (DOCS / "tutorials.rst").read_text(), re.M)
    assert listed == sorted(path.stem for path in DOCS.parent.glob("tutorials/*.ipynb"))
