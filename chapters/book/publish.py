"""What the book does with the notebooks beyond Sphinx and myst-nb.

- The tables of contents are appended to the front page, which is the README.
- Exercises and their solutions are folded: you open what you want to see.
- Formulas become MathML, which browsers draw themselves, without a script.
- Nothing is fetched from other hosts: remote badges become words.
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
    "To print, to teach, to contribute": "chapters/[a-z]*\ndata/README\nCONTRIBUTING",
    "Solutions": "chapters/solutions/*",
}
FOLDED = re.compile(r"Exercises|Exercise \d+\b.*")


def anchor(title):
    """Return the anchor that Jupyter gives to a heading."""
    return title.replace(" ", "-")


def complete_page(app, name, source):
    """Give the front page its contents, and links to folders a place to lead to."""
    if name == app.config.root_doc:
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
    """Return the address of a folder of the repository; for anything else None."""
    if target.is_dir():
        inside = target.resolve().relative_to(Path(app.srcdir).resolve()).as_posix()
        return f"{app.config.address}/tree/main/{inside}"
    return None


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
    text = node.astext().translate(unichar2tex.uni2tex_table)
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
    if error is None and app.builder.name == "html":
        out = Path(app.outdir)
        shutil.copyfile(out / f"{app.config.root_doc}.html", out / "index.html")


def setup(app):
    """Connect the above with Sphinx."""
    app.add_config_value("address", "", "env")
    app.add_html_math_renderer("mathml", (inline_mathml, None), (block_mathml, None))
    app.connect("source-read", complete_page)
    app.connect("doctree-read", fold)
    app.connect("doctree-read", keep_to_ourselves)
    app.connect("build-finished", add_index)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
