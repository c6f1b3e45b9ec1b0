"""The book and the slides, built for real and looked at in a browser.

`make book` installs Sphinx; without it these tests are skipped, unless
AE_REQUIRE_BOOK=1. What needs no Sphinx is in tests/test_pages.py.
"""

import importlib.util
import os
import re
import subprocess
import sys

import build
import nbformat
import pytest

PHONE, DESKTOP = (390, 844), (1280, 900)
# Elements that reach beyond the right edge, but for those inside something that scrolls
# or is closed, and the drawers of the theme, which wait outside.
TOO_WIDE = """() => Array.from(document.querySelectorAll('.bd-article *'))
    .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)
    .filter(e => {
        for (let p = e; p; p = p.parentElement) {
            const style = getComputedStyle(p);
            if (['auto', 'scroll'].includes(style.overflowX)) return false;
        }
        return e.getClientRects().length > 0;
    })
    .map(e => e.outerHTML.slice(0, 90))"""


def sphinx(root, out, *options):
    command = [sys.executable, "-m", "sphinx", "-nW", "--keep-going", "-q"]
    command += ["-c", str(root / "chapters" / "book"), *options, str(root), str(out)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=out.parent)
    assert run.returncode == 0, run.stderr
    return out


def needed():
    if not all(map(importlib.util.find_spec, ("sphinx", "myst_nb"))):
        message = "no Sphinx: `make book` installs it"
        if os.environ.get("AE_REQUIRE_BOOK", "0") not in ("", "0"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="module")
def book(root, tmp_path_factory):
    """The folder of a book that has just been built, warnings being errors."""
    needed()
    return sphinx(root, tmp_path_factory.mktemp("book") / "site", "-b", "html")


@pytest.fixture(scope="module")
def slides(root, tmp_path_factory):
    """The folder of slides that have just been built."""
    needed()
    out = tmp_path_factory.mktemp("slides") / "site"
    return sphinx(root, out, "-t", "slides", "-b", "revealjs")


def read(book, name):
    return (book / f"{name}.html").read_text(encoding="utf-8")


def formulas(source):
    """Count the formulas of a notebook: $$...$$ and $...$, outside code."""
    cells = build.read_source(source).cells
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    text = re.sub(r"`[^`]*`", "", text)
    blocks = re.findall(r"\$\$.+?\$\$", text, re.DOTALL)
    lines = re.findall(r"\$[^$]+\$", re.sub(r"\$\$.+?\$\$", "", text, flags=re.DOTALL))
    return len(blocks) + len(lines)


# -------------------------------------------------------------------------- the pages


def test_each_notebook_is_a_page_with_its_link_to_colab(root, book, source, address):
    name = f"chapters/{build.label(source)}"
    html = read(book, name)
    project = address.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{project}/blob/main/{name}.ipynb"
    assert f'href="{colab}"' in html
    if source.parent == build.CHAPTERS:
        assert f"]({colab})" in (root / "README.md").read_text(encoding="utf-8")
    for page in ("index", "README", "CONTRIBUTING", "chapters/teaching"):
        assert f"{build.label(source)}.html" in read(book, page), page


def test_pictures_and_formulas_have_arrived(book, source):
    html = read(book, f"chapters/{build.label(source)}")
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    body = html.partition('<article class="bd-article"')[2].partition("</article>")[0]
    shown = re.findall(r'<img[^>]+src="([^"]+)"', body)
    assert len(shown) == len(pictures)
    for link in shown:
        assert (book / "chapters" / build.label(source)).parent.joinpath(link).exists()
    assert html.count("<math") == formulas(source)


def test_exercises_and_solutions_are_folded(book, source):
    html = read(book, f"chapters/{build.label(source)}")
    folded = re.findall(r"<details class=\"folded\">(.*?)</details>", html, re.DOTALL)
    if source.parent == build.CHAPTERS:
        assert len(folded) == 1
        assert "exercises" in folded[0] and "<li>" in folded[0]
    else:
        count = len(re.findall(r"^# ## Exercise \d", source.read_text("utf-8"), re.M))
        assert len(folded) == count >= 3
    assert "<details" not in "".join(folded)


def test_nothing_is_fetched_from_elsewhere(book):
    """Links lead out, but no page needs another host to be shown."""
    pages = list(book.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        html = page.read_text(encoding="utf-8")
        loads = re.findall(
            r"<(?:script|img|iframe|source)[^>]*\bsrc=\"(https?:[^\"]*)", html
        )
        loads += re.findall(
            r"<link[^>]*rel=\"stylesheet\"[^>]*href=\"(https?:[^\"]*)", html
        )
        assert loads == [], page.name


# ------------------------------------------------------------------------- the browser


@pytest.fixture(scope="module")
def visit(browser, book):
    """Open a page of the book at a size; requests to other hosts fail the test."""
    opened = []

    def open_page(name, size, theme="light"):
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme
        )
        page = context.new_page()
        page.outside = []
        page.on("request", lambda r: page.outside.append(r.url)
                if r.url.startswith("http") else None)  # fmt: skip
        page.goto((book / f"{name}.html").as_uri())
        opened.append(context)
        return page

    yield open_page
    for context in opened:
        context.close()


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_no_page_is_wider_than_the_window(book, visit, size):
    names = [
        p.relative_to(book).with_suffix("").as_posix() for p in book.rglob("*.html")
    ]
    names = [n for n in names if n not in ("genindex", "search")]
    page = visit("index", size)
    for name in sorted(names):
        page.goto((book / f"{name}.html").as_uri())
        page.evaluate(
            "document.querySelectorAll('details').forEach(d => d.open = true)"
        )
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= size[0], name
        assert page.evaluate(TOO_WIDE) == [], name
    assert page.outside == []


def test_formulas_are_drawn(visit):
    """A fraction is higher than a letter: the browser has laid it out."""
    page = visit("chapters/cheatsheet", DESKTOP)
    heights = page.evaluate(
        "[...document.querySelectorAll('math')]"
        ".map(m => m.getBoundingClientRect().height)"
    )
    assert len(heights) > 20 and min(heights) > 0
    fraction = page.evaluate(
        "document.querySelector('mfrac').getBoundingClientRect().height"
    )
    letter = page.evaluate(
        "document.querySelector('mi').getBoundingClientRect().height"
    )
    assert fraction > 1.3 * letter


def test_a_folded_section_opens(visit, chapter):
    page = visit(f"chapters/{chapter.stem}", PHONE)
    item = page.locator("details.folded li").first
    assert not item.is_visible()
    page.locator("details.folded > summary").first.click()
    assert item.is_visible()


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_dark_mode_can_be_chosen(visit, size):
    page = visit("chapters/04_building", size)
    shade = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    for choice, dark in [("Dark", True), ("Light", False)]:
        page.locator("button.theme-switch-button:visible").first.click()
        page.locator(".theme-switch-container .dropdown-item", has_text=choice).click()
        page.wait_for_timeout(300)
        assert (sum(page.evaluate(shade)) < 200) == dark, choice


def test_the_search_finds_a_word(visit):
    page = visit("index", DESKTOP)
    page.goto(page.url.replace("index.html", "search.html?q=checkerboard"))
    hit = page.locator("#search-results a", has_text="04 · Building").first
    hit.wait_for(timeout=20_000)
    assert "chapters/04_building.html" in hit.get_attribute("href")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["cheatsheet", "checklist", "diagnosis"])
def test_a_page_to_print_is_one_sheet(visit, name, theme):
    page = visit(f"chapters/{name}", DESKTOP, theme)
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    (box,) = set(re.findall(rb"/MediaBox\s*\[([^\]]+)\]", pdf))
    assert [round(float(n)) for n in box.split()] == [0, 0, 595, 842]  # A4
    page.emulate_media(media="print")
    assert page.locator("article h1").is_visible()
    assert not page.locator(".bd-sidebar-primary").is_visible()


# -------------------------------------------------------------------------- the slides


def test_slides_show_a_figure_after_its_question(browser, slides, chapter):
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    outside = []
    page.on("request", lambda r: outside.append(r.url) if r.url[:4] == "http" else None)
    page.goto((slides / "chapters" / f"{chapter.stem}.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    notebook = nbformat.read(chapter.with_suffix(".ipynb"), as_version=4)
    kinds = [
        k
        for c in notebook.cells
        for o in c.get("outputs", [])
        for k in o.get("data", {})
    ]
    assert page.locator(".slides img").count() == kinds.count("image/png")
    assert page.evaluate("Reveal.getTotalSlides()") > 10
    mixed = "section section:has(.cell_input + .cell_output img)"
    assert page.locator(mixed).count() == 0
    assert f'href="chapters/{chapter.stem}.html"' in read(slides, "index")
    assert outside == []
    page.close()
