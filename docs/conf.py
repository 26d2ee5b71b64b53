"""How the documentation site is built: `make site`.

Pages are Markdown, read where they stand, so that a link is right both in the
repository and on the site. Nothing is fetched when a page is opened: fonts are the
reader's own, formulas are MathML, the search runs in the browser.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx import addnodes
from sphinx.application import Sphinx

from groupemo import __version__

project = "groupemo"
author = "The groupemo authors"
project_copyright = "The groupemo authors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "reports/*.md",
    "labels/README.md",
    "groupemo/nets/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = [".*", "build", "data", "notebooks", "**/__pycache__", "reports/README.md"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
default_role = "py:obj"
add_module_names = False
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_mock_imports = ["filelock", "kornia", "onnxscript", "optuna", "sqlalchemy", "torch"]
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = ["Conventions"]
copybutton_prompt_text = r"\$ |> "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"groupemo {__version__}"
html_extra_path = ["start"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"


def as_mathml(translator: Any, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers draw without a script."""
    block = isinstance(node, nodes.math_block)
    formula = tex2mathml(node.astext(), as_block=block)
    translator.body.append(f'<div class="formula">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def bars_as_they_are(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Keep |x| in a docstring from being taken for a substitution."""
    lines[:] = [re.sub(r"(?<!\S)\|(?=\S)", r"\\|", line) for line in lines]


def exact_words(app: Sphinx, doctree: nodes.document) -> None:
    """Let a plain word, such as a type called path, mean no attribute that ends in it."""
    for reference in doctree.findall(addnodes.pending_xref):
        if reference.get("refdomain") == "py" and reference["reftarget"].islower():
            reference.attributes.pop("refspecific", None)


def headings_with_levels(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Tell screen readers that the captions in the sidebar are headings of the second level."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace(
        'role="heading"', 'role="heading" aria-level="2"'
    )


def setup(app: Sphinx) -> None:
    """Register what this site adds to Sphinx."""
    app.connect("autodoc-process-docstring", bars_as_they_are)
    app.connect("doctree-read", exact_words)
    app.connect("html-page-context", headings_with_levels, priority=900)
    app.add_html_math_renderer("mathml", (as_mathml, None), (as_mathml, None))
