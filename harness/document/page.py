"""A report as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from harness.document.foreign_text import html_text, visible
from harness.document.section import Link, Picture, Section, Title


def page(title: Title, sections: Sequence[Section], drawings: Mapping[str, bytes]) -> str:
    """The page; ``drawings`` are the pictures' SVG files by name, which it embeds."""
    here = files("harness.document")
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters["words"] = words
    environment.filters["groups"] = groups
    environment.globals["source"] = lambda picture: data_uri(drawings[picture.name])
    template = environment.from_string(here.joinpath("page.html").read_text("utf-8"))
    css = here.joinpath("page.css").read_text("utf-8")
    return template.render(title=title, sections=sections, css=Markup(css))


def data_uri(svg: bytes) -> str:
    """An SVG file as an address that holds the file itself."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def words(text: str) -> Markup:
    """Plain words as HTML; `backticks` mark code, a link leads where it says."""
    if isinstance(text, Link):
        return Markup('<a href="{}">{}</a>').format(text.address, html_text(str(text)))
    parts = str(html_text(text)).split("`")
    if len(parts) % 2 == 0:
        return html_text(text)
    return Markup("".join(f"<code>{p}</code>" if k % 2 else p for k, p in enumerate(parts)))


def groups(pictures: Sequence[Picture]) -> list[tuple[bool, list[Any]]]:
    """Neighbouring pictures of the same width together, as (wide, pictures)."""
    return [(wide, list(g)) for wide, g in itertools.groupby(pictures, key=lambda p: p.wide)]
