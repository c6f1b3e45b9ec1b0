"""Links between the files of the repository, as GitHub and JupyterLab follow them."""

import re
from pathlib import Path

import build
import pytest

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
PAGES = ["README.md", "CONTRIBUTING.md", "data/README.md"]
PAGES += sorted(f"chapters/{path.name}" for path in build.CHAPTERS.glob("*.md"))


def text_of(path):
    """Return the prose of a page or of a percent file, without code."""
    if path.suffix == ".py":
        cells = build.read_source(path).cells
        text = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    return FENCE.sub("", text)


def links_in(text):
    """List the targets of links and pictures, in Markdown and in HTML."""
    links = re.findall(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)", text)
    return links + re.findall(r"(?:src|href|srcset)=\"([^\"]+)\"", text)


def anchors_of(path):
    """Return the anchors of a file: GitHub's for .md, Jupyter's for .ipynb."""
    source = path.with_suffix(".py") if path.suffix == ".ipynb" else path
    headings = re.findall(r"^#+ (.+)$", text_of(source), re.MULTILINE)
    if path.suffix == ".md":
        return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
    return {heading.replace(" ", "-") for heading in headings}


def lost(text, page, root):
    """List the links of a page that lead nowhere inside the repository."""
    missing = []
    for link in links_in(text):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.is_relative_to(root) or not file.exists():
            missing.append(link)
        elif anchor and anchor not in anchors_of(file):
            missing.append(link)
    return missing


@pytest.mark.parametrize("name", PAGES)
def test_links_of_a_page_lead_somewhere(root, name):
    page = root / name
    assert lost(text_of(page), page, root) == []


def test_links_of_a_notebook_lead_somewhere(root, source):
    assert lost(text_of(source), source.with_suffix(".ipynb"), root) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a](a.md)", []),
        ("[a](a.md#one-two)", []),
        ("[a](a.md#One-two)", ["a.md#One-two"]),
        ("[a](#nowhere)", ["#nowhere"]),
        ("[a](b.md) ![c](c.png)", ["b.md", "c.png"]),
        ('<img src="d.png">', ["d.png"]),
        ('[a](e.md "title")', ["e.md"]),
        ("[a](../outside.md)", ["../outside.md"]),
        ("[a](https://example.org/x) [b](mailto:a@b.c)", []),
    ],
)
def test_a_lost_link_is_found(tmp_path, text, found):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.md").touch()
    page = root / "a.md"
    page.write_text("# One, two\n\n```\n# no heading, [no link](x.md)\n```\n" + text)
    assert lost(text_of(page), page, root) == found


def test_the_pages_to_print_and_to_teach_are_on_the_front_page(root):
    links = links_in(text_of(root / "README.md"))
    for name in PAGES[1:]:
        assert name in links, f"README.md has no link to {name}"
        assert Path(root / name).exists()
