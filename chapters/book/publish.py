"""What the book does with the notebooks beyond Sphinx and myst-nb.

- The tables of contents are appended to the front page, which is the README.
- Exercises and their solutions are folded: you open what you want to see.
- Formulas become MathML, which browsers draw themselves, without a script.
- Nothing is fetched from other hosts: remote badges become words.
- `make slides` cuts the same pages into slides.
"""

import re
import shutil
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError, unichar2tex
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

log = logging.getLogger(__name__)

CONTENTS = {
    "Chapters": "chapters/[0-9][0-9]_*",
    "More": "chapters/[a-z]*\ndata/README\nCONTRIBUTING",
    "Solutions": "chapters/solutions/*",
}
BRANCH = "main"
SHEETS = {
    "cheatsheet",
    "checklist",
    "diagnosis",
}  # each fits on one page of paper
TEX = unichar2tex.uni2tex_table | {ord("·"): r"\cdot "}
FOLDED = re.compile(r"Exercises|Exercise \d+\b.*")


def anchor(title):
    """Return the anchor that Jupyter gives to a heading."""
    return title.replace(" ", "-")


def complete_page(app, name, source):
    """Give the front page its contents, and links to folders an address."""
    if name == "README":
        for caption, patterns in CONTENTS.items():
            options = f":hidden:\n:glob:\n:caption: {caption}"
            source[0] += f"\n\n```{{toctree}}\n{options}\n\n{patterns}\n```\n"
    path = Path(app.env.doc2path(name))
    if path.suffix == ".md":
        source[0] = re.sub(
            r"(?<=\]\()([\w./-]+)(?=\))",
            lambda link: to_folder(app, path.parent / link[1]) or link[1],
            source[0],
        )


def to_folder(app, target):
    """Return the address of a folder of the repository, or None."""
    if target.is_dir():
        inside = (
            target.resolve().relative_to(Path(app.srcdir).resolve()).as_posix()
        )
        return f"{app.config.address}/tree/{BRANCH}/{inside}"
    return None


def colab(address, name):
    """Return the address at which Google Colab opens a notebook."""
    project = address.removeprefix("https://github.com/")
    host = "https://colab.research.google.com/github"
    return f"{host}/{project}/blob/{BRANCH}/{name}.ipynb"


def offer_colab(app, doctree):
    """Put a link to Colab below the title of each notebook."""
    name = app.env.docname
    title = next(iter(doctree.findall(nodes.title)), None)
    if title is not None and app.env.doc2path(name).suffix == ".ipynb":
        uri = colab(app.config.address, name)
        link = nodes.reference("", "Open in Colab", refuri=uri, internal=False)
        place = title.parent.index(title) + 1
        title.parent.insert(
            place, nodes.paragraph("", "", link, classes=["colab"])
        )


def mark_sheets(app, doctree):
    """Give the pages to print a class, for the stylesheet."""
    name = app.env.docname.removeprefix("chapters/")
    if name in SHEETS:
        next(iter(doctree.findall(nodes.section)))["classes"] += [
            "sheet",
            name,
        ]


def fold(app, doctree):
    """Close the sections with exercises or solutions, below their headings."""
    for section in list(doctree.findall(nodes.section)):
        title = section[0].astext()
        if FOLDED.fullmatch(title):
            what = "the exercises" if title == "Exercises" else "the solution"
            opening = f'<details class="folded"><summary>Show {what}</summary>'
            section.insert(1, nodes.raw("", opening, format="html"))
            section.append(nodes.raw("", "</details>", format="html"))


def keep_to_ourselves(app, doctree):
    """Replace pictures of other hosts by their words."""
    for picture in list(doctree.findall(nodes.image)):
        if re.match("[a-z]+://", picture["uri"]):
            words = nodes.inline("", picture.get("alt", "picture"))
            picture.replace_self(words)


def mathml(translator, node, block):
    """Write a formula as MathML; what cannot be converted is a warning."""
    text = node.astext().translate(TEX)
    try:
        translator.body.append(tex2mathml(text, as_block=block))
    except MathError as error:
        log.warning("no MathML for %r: %s", text, error, location=node)
        translator.body.append(translator.starttag(node, "code", ""))
        translator.body.append(translator.encode(text) + "</code>")
    raise nodes.SkipNode


def inline_mathml(translator, node):
    """Write a formula of a line."""
    mathml(translator, node, block=False)


def block_mathml(translator, node):
    """Write a formula that stands alone; too wide a one scrolls by itself."""
    translator.body.append('<div class="formula">')
    try:
        mathml(translator, node, block=True)
    finally:
        translator.body.append("</div>")


def add_index(app, error):
    """Name the front page index.html too, which servers look for."""
    out = Path(app.outdir)
    if error is None and app.builder.name == "html":
        shutil.copyfile(
            out / f"{app.config.root_doc}.html", out / "index.html"
        )
    elif error is None and app.builder.name == "revealjs":
        links = [
            f'<li><a href="{name}.html">{title.astext()}</a></li>'
            for name, title in sorted(app.env.titles.items())
        ]
        name = app.config.project
        page = f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{name}</title>
<h1>{name}: slides</h1><ul>{"".join(links)}</ul></html>
"""
        (out / "index.html").write_text(page, encoding="utf-8")


def is_part(node, name):
    """Say whether a node is a cell, or a part of one, of myst-nb."""
    return isinstance(node, nodes.container) and name in node["classes"]


def cut_into_slides(app, doctree, name):
    """Cut each section so that a figure comes a slide later than its question.

    A slide holds text and the code that follows it, or a figure and the
    paragraph that reads it.
    """
    if app.builder.name != "revealjs":
        return
    from sphinx_revealjs.nodes import revealjs_break

    for folded in list(doctree.findall(nodes.raw)):
        if "details" in folded.astext():
            folded.parent.remove(folded)
    for section in list(doctree.findall(nodes.section)):
        children, before = [], "title"
        for node in section.children[1:]:
            if isinstance(node, nodes.section):
                children.append(node)
                continue
            kind = "code" if is_part(node, "cell") else "text"
            if (before, kind) in CUTS:
                children.append(revealjs_break())
            children.append(node)
            before = (
                "reading" if (before, kind) == ("figure", "text") else kind
            )
            if kind == "code" and next(iter(node.findall(nodes.image)), None):
                outputs = [n for n in node if is_part(n, "cell_output")]
                for output in outputs:
                    node.remove(output)
                children += [revealjs_break(), *outputs]
                before = "figure"
        section[1:] = children


# What may not stand on one slide: (what it holds last, what would come next).
CUTS = {
    ("code", "text"),
    ("figure", "code"),
    ("reading", "code"),
    ("reading", "text"),
}


def setup(app):
    """Connect the above with Sphinx."""
    app.add_config_value("address", "", "env")
    app.add_html_math_renderer(
        "mathml", (inline_mathml, None), (block_mathml, None)
    )
    app.connect("source-read", complete_page)
    app.connect("doctree-read", fold)
    app.connect("doctree-read", offer_colab)
    app.connect("doctree-read", mark_sheets)
    app.connect("doctree-read", keep_to_ourselves)
    app.connect("doctree-resolved", cut_into_slides)
    app.connect("build-finished", add_index)
    return {
        "version": "1",
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
