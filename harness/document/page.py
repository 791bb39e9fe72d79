"""A report as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from harness.document.foreign_text import html_text, visible
from harness.document.section import Explorer, Link, Picture, Section, Title


def page(
    title: Title,
    sections: Sequence[Section],
    drawings: Mapping[str, bytes],
    explorer: Explorer | None = None,
) -> str:
    """The page; ``drawings`` are the pictures' SVG files by name, which it embeds.

    Only the explorer's own scripts may run on it: the page's policy names them by their hashes.
    """
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
    scripts = []
    if explorer:
        own = here.joinpath("page.js").read_text("utf-8") + explorer.script
        scripts = [_inline(script) for script in (own, explorer.library) if script]
    return template.render(
        title=title,
        sections=[section for section in sections if _on_page(section)],
        css=Markup(css),
        explorer=explorer,
        values=Markup(json_text(explorer.values)) if explorer else "",
        scripts=[Markup(script) for script in scripts],
        policy=" ".join(map(_policy, scripts)) or "'none'",
    )


def _on_page(section: Section) -> bool:
    """Whether the page has anything of a section: one of nothing but pictures may have none for the page."""
    only_files = section.pictures and not any(picture.on_page for picture in section.pictures)
    return not only_files or bool(section.tables or section.points or section.code)


def json_text(value: Any) -> str:
    """A value as compact JSON in which no text can end a script element, steer or be a tag."""
    text = json.dumps(_visible(value), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _visible(value: Any) -> Any:
    """The value with :func:`visible` texts, also as keys."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(str(key)): _visible(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [v if type(v) is float or type(v) is int else _visible(v) for v in value]
    return value


def _inline(script: str) -> str:
    """A script that can stand in a page: nothing in it ends its element, and lines end in one way."""
    plain = script.replace("\r\n", "\n").replace("\r", "\n")
    return plain.replace("</script", "<\\/script").replace("<!--", "<\\!--").strip()


def _policy(script: str) -> str:
    """What a content security policy calls a script: its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


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
    """Neighbouring pictures of the same width together, as (wide, pictures); those of the page."""
    shown = [picture for picture in pictures if picture.on_page]
    return [(wide, list(g)) for wide, g in itertools.groupby(shown, key=lambda p: p.wide)]
