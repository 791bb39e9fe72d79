"""Vega, Vega-Lite and Vega-Embed as one script, out of what vl-convert-python carries: no network."""

from __future__ import annotations

import os
from importlib.metadata import version

from backends.environments import program_cache

_SNIPPET = "window.vegaEmbed = vegaEmbed;"


def vega_script() -> str:
    """The script that defines ``vegaEmbed``, with the interpreter that needs no eval.

    Bundling takes seconds, so it is kept in the user's cache; where that cannot be written, made anew.
    """
    kept = program_cache() / f"vega-{version('vl-convert-python')}.js"
    try:
        return kept.read_text("utf-8")
    except OSError:
        pass
    from vl_convert import javascript_bundle  # 80 MB, needed once

    script = javascript_bundle(_SNIPPET)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        whole = kept.with_suffix(f".{os.getpid()}")
        whole.write_text(script, "utf-8")
        whole.replace(kept)
    except OSError:  # a home that is read-only, or none at all
        pass
    return script
