"""Chapters become one page of HTML, and the page a PDF."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import pikepdf
from docutils.utils.math.latex2mathml import tex2mathml
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pypdf import PdfReader

import groupemo
from groupemo.report.pdf import print_page
from reports.written.demo import Demo
from reports.written.example import Example
from reports.written.facts import facts
from reports.written.pictures import Pictures
from reports.written.tables import Missing, Pages

__all__ = ["Book", "Heading", "printed"]

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
CHAPTERS = HERE / "chapters"

SHORT = 9
"""Rows of a table that is not broken between two pages."""

TITLE = "groupemo: how far to trust emotion recognition on group photos"


@dataclass(frozen=True)
class Heading:
    """A line of the contents."""

    level: int
    id: str
    title: str
    number: str


@dataclass(eq=False)
class Book:
    """The whole report.

    Parameters
    ----------
    root : Path
        The project's folder.
    demo : Demo
    chapters : sequence of Path
        In order.
    """

    root: Path
    demo: Demo
    chapters: Sequence[Path] = field(default_factory=lambda: sorted(CHAPTERS.glob("*.md")))
    headings: list[Heading] = field(default_factory=list, init=False)
    _counts: dict[str, int] = field(default_factory=dict, init=False)

    # --- what chapters may ask for -----------------------------------------------------------

    @cached_property
    def pages(self) -> Pages:
        """The tables of the project."""
        return Pages(self.root)

    def has(self, name: str) -> bool:
        """Return whether there is a file of that name, or a picture."""
        return self.pages.page(name).path.exists() or name in self.pictures

    def table(
        self, name: str, section: str = "", columns: Sequence[str] = (), caption: str = ""
    ) -> str:
        """Return a table, or some columns of it, with a number and a caption."""
        return self.tabled(self.pages.page(name).table(section, columns).markdown(), caption)

    def tabled(self, markdown: str, caption: str) -> str:
        """Return a table with a number and a caption."""
        number = self._count("table")
        said = self.markdown.renderInline(caption.strip())
        head = f'<p class="caption table"><b>Table {number}.</b> {said}</p>'
        return f"\n\n{head}\n\n{markdown}\n\n"

    def whole(self, name: str, level: int = 3, drop: Sequence[str] = ()) -> str:
        """Return a file whole, its title left out, its headings beginning at a level."""
        text = "\n".join(self.pages.page(name).lines)
        for title in drop:
            text = re.sub(rf"(?ms)^## {re.escape(title)}\n.*?(?=^## |\Z)", "", text)
        text = re.sub(r"(?m)^!\[.*\]\(.*\)$", "", text)  # pictures stand in the chapters
        body = re.sub(r"(?m)\A# .*\n", "", text)
        return re.sub(r"(?m)^##(#*) ", lambda found: "#" * level + found[1] + " ", body)

    def figure(self, name: str, caller: Callable[[], str], size: str = "") -> str:
        """Return a picture with a number and a caption."""
        picture = self.pictures[name]
        said = self.markdown.renderInline(" ".join(caller().split()))
        number = self._count("figure")
        return (
            f'\n\n<figure class="{name} {size}">{picture}<figcaption><b>Figure {number}.</b>'
            f" {said}</figcaption></figure>\n\n"
        )

    def net(self, *keys: str) -> Any:
        """Return a value of the default net's figures."""
        value = self._net
        for key in keys:
            if key not in value:
                raise Missing(f"groupemo/nets/figures.json: no {key!r} of {'.'.join(keys)!r}")
            value = value[key]
        return value

    @cached_property
    def _net(self) -> Mapping[str, Any]:
        path = self.root / "groupemo" / "nets" / "figures.json"
        return json.loads(path.read_text(encoding="utf-8"))

    @cached_property
    def pictures(self) -> Pictures:
        """What is drawn."""
        return Pictures(self.root, self.demo)

    def _count(self, what: str) -> int:
        self._counts[what] = self._counts.get(what, 0) + 1
        return self._counts[what]

    # --- from chapters to a page -------------------------------------------------------------

    @cached_property
    def markdown(self) -> MarkdownIt:
        """The reader of Markdown: tables, formulas as MathML, links that a paper can follow."""
        made = MarkdownIt("commonmark", {"html": True}).enable("table")
        made.use(dollarmath_plugin, renderer=_formula, allow_digits=False, double_inline=True)
        return made

    @cached_property
    def template(self) -> jinja2.Environment:
        """The reader of template calls."""
        made = jinja2.Environment(
            undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
        )
        made.globals |= {
            "cell": self.pages.cell, "value": self.pages.value,
            "table": self.table, "tabled": self.tabled,
            "whole": self.whole, "figure": self.figure, "has": self.has, "net": self.net,
            "demo": self.demo, "example": Example(), "pictures": self.pictures,
            "page": self.pages.page, "more": _more, **facts(self.pages, self.demo),
        }  # fmt: skip
        made.filters |= {"point": _without_interval, "thousands": "{:,}".format}
        return made

    def chapter(self, path: Path) -> str:
        """Return a chapter as HTML.

        Raises
        ------
        Missing
            If it asks for what is not there; names the chapter.
        """
        try:
            text = self.template.from_string(path.read_text(encoding="utf-8")).render()
        except (Missing, jinja2.TemplateError) as error:
            line = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
            raise Missing(f"{path.name}{line}: {error}") from error
        tokens = self.markdown.parse(text)
        number = path.stem.partition("_")[0].lstrip("0")
        number = number if number.isdigit() else ""
        section = 0
        for place, token in enumerate(tokens):
            if token.type == "heading_open":
                level = int(token.tag[1])
                title = tokens[place + 1].content
                section += level == 2
                shown = {1: number, 2: f"{number}.{section}" if number else ""}.get(level, "")
                token.attrs["id"] = f"h{len(self.headings)}"
                self.headings.append(Heading(level, token.attrs["id"], title, shown))
                if shown:
                    tokens[place + 1].children[
                        0
                    ].content = f"{shown}\u2002{tokens[place + 1].children[0].content}"
            for child in token.children or ():
                _print_link(child)
        body = self.markdown.renderer.render(tokens, self.markdown.options, {})
        return f'<section class="chapter {path.stem[3:]}">{_wrapped(body)}</section>'

    def html(self, pages: Mapping[str, int] | None = None) -> str:
        """Return the page to print; with the numbers of pages, they stand in the contents."""
        self.headings.clear()
        self._counts.clear()
        chapters = [self.chapter(path) for path in self.chapters]
        return self.template.from_string((HERE / "page.html").read_text(encoding="utf-8")).render(
            title=TITLE, style=(HERE / "style.css").read_text(encoding="utf-8"), chapters=chapters,
            headings=[one for one in self.headings if one.level <= 2], pages=pages or {},
            version=groupemo.__version__, day=date.today().strftime("%B %Y"),
        )  # fmt: skip


def printed(book: Book, browser: str) -> bytes:
    """Return the report as PDF: printed once to learn the pages, and again with their numbers."""
    first = PdfReader(io.BytesIO(print_page(book.html(), browser)))
    pages = {
        name: first.get_destination_page_number(each) + 1
        for name, each in first.named_destinations.items()
    }
    numbered = book.html({name.lstrip("/"): page for name, page in pages.items()})
    return packed(print_page(numbered, browser))


def packed(pdf: bytes) -> bytes:
    """Return the same PDF, smaller: what tags thousands of cells for screen readers, compressed."""
    target = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as document:
        document.save(target, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return target.getvalue()


def _formula(content: str, options: Mapping[str, Any]) -> str:
    block = bool(options["display_mode"])
    formula = tex2mathml(content.strip(), as_block=block)
    return f'<div class="formula">{formula}</div>' if block else formula


def _print_link(token: Any) -> None:
    """Turn a link to a file of the project into plain words: a paper cannot follow it."""
    if token.type in ("link_open", "link_close"):
        href = token.attrs.get("href", "")
        if token.type == "link_open" and not href.startswith(("http", "#")):
            token.tag, token.attrs = "span", {}


def _wrapped(body: str) -> str:
    """Name tables by their columns, so that letters of wide ones may be small, and short ones."""

    def named(found: re.Match[str]) -> str:
        columns, rows = found[0].partition("</tr>")[0].count("<th"), found[0].count("<tr>")
        short = " short" if rows <= SHORT else ""
        return f'<table class="columns-{min(columns, 12)}{short}"' + found[0][len("<table") :]

    return re.sub(r"(?s)<table>.*?</table>", named, body)


def _without_interval(cell: str) -> str:
    return cell.partition(" [")[0].partition(" (")[0]


def _more(
    a: float, b: float, more: str = "more", less: str = "fewer", same: str = "as many"
) -> str:
    """Return the word for how a stands to b."""
    return more if a > b else less if a < b else same
