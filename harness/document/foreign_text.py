"""Text from outside, made safe to show: class labels, names, paths and what other people's code raised.

Such text may hold signs that a terminal obeys (colours, titles, links, a bell), that XML forbids, that are no
text at all (half of a surrogate pair) or that turn the order of what follows around. :func:`visible` makes
them seen, for a terminal, for XML and for figures; :func:`html_text` and
:func:`harness.document.markdown.escaped` are for HTML and Markdown and begin with it.
"""

from __future__ import annotations

import re

from markupsafe import Markup, escape

# controls but tab and line feed; half surrogates; marks of direction; other ends of lines; no characters
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)


def visible(text: str) -> str:
    r"""The text with signs that steer instead of being shown as Python writes them: ``\x1b``, ``\u202e``."""
    return _HIDDEN.sub(lambda sign: sign[0].encode("unicode_escape").decode(), text)


def html_text(text: str) -> Markup:
    """The text as HTML, in which nothing is a tag, an entity or the end of an attribute."""
    return escape(visible(text))
