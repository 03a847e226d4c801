"""Links that lead to a file of the repository on GitHub lead to its page on the site.

CONTRIBUTING.md and CHANGELOG.md stay at the top of the repository, where people look for them. On the site
they take the place of docs/contributing.md and docs/changelog.md. A script of examples/ becomes its page in
the gallery.
"""

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {"contributing": ROOT / "CONTRIBUTING.md", "changelog": ROOT / "CHANGELOG.md"}
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)((?:#[^)\s]+)?\))")


def read_source(app, docname, source):
    page = PAGES.get(docname, Path(app.env.doc2path(docname)))
    if page.suffix != ".md":
        return
    if docname in PAGES:
        app.env.note_dependency(str(page))
        source[0] = page.read_text(encoding="utf-8")
    source[0] = LINK.sub(
        lambda link: f"]({on_site((page.parent / link[1]).resolve(), link[1])}{link[2]}", source[0]
    )


def on_site(target, link):
    """Return the link to a file as the site needs it; links between pages of docs/ stay."""
    for docname, page in PAGES.items():
        if target == page:
            return f"/{docname}.md"
    if target == ROOT / "README.md":
        return "/index.md"
    if target.parent == ROOT / "examples" and target.suffix == ".py":
        return f"/auto_examples/{target.stem}.rst"
    if target.is_relative_to(DOCS):
        return f"/{target.relative_to(DOCS)}".replace(os.sep, "/")
    return link


def setup(app):
    app.connect("source-read", read_source)
    return {"version": "1", "parallel_read_safe": True}
