"""The atlas as sections of a report, and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.atlas.atlas import (
    ATLAS_DTYPES,
    ATLAS_PROBLEM,
    ATLAS_SETTINGS,
    ATLAS_STEPS,
    OPTIMISERS_OF,
    ROUND_OFF_ALONE,
    Atlas,
    AtlasChange,
    AtlasSetting,
    version_steps,
)
from harness.document.canvas import FAINT, INK
from harness.document.section import NOTHING, Picture, Section, Table, Title
from harness.document.words import render
from harness.document.writer import PageAddress, write_sections
from harness.results.run_folder import RunFolder

BEYOND = 10.0  # times what round-off alone comes to: further off than that is the library's doing
_SENTENCES = "atlas/sentences.jinja"
_BOUNDS = (0, BEYOND, 1e3, 1e5, 1e7, 1e9, 1e11, np.inf)  # times round-off
_COLOURS = ("#e6f0ea", "#fee8b6", "#fdc274", "#f98e52", "#e0523b", "#b51f2e", "#6a0d2c")


def atlas_headline(atlas: Atlas) -> str:
    """The answer in one sentence."""
    steps = [found for _, _, _, found in version_steps(atlas)]
    return render(
        _SENTENCES,
        "headline",
        columns=sum(len(atlas.trained(name)) for name in atlas.libraries),
        libraries=len(atlas.libraries),
        settings=len(ATLAS_SETTINGS),
        steps=len(steps),
        same=sum(not found for found in steps),
    )


def atlas_section(atlas: Atlas) -> Section:
    """The answer, what stands out, library by library, step by step."""
    untrained = atlas.columns[atlas.columns["status"] != "trained"]
    points = [*_jumps(atlas), *_far(atlas)]
    points += [
        render(_SENTENCES, "not_trained", library=library, version=version, status=status)
        for library, version, status in untrained[["library", "version", "status"]].itertuples(
            index=False
        )
    ]
    trained = atlas.columns[atlas.columns["library"] != ROUND_OFF_ALONE]
    makers = list(dict.fromkeys(trained["made_by"]))
    tables = [
        Table(
            _library_table(atlas), "Library by library; what is said of settings is the newest's"
        ),
        Table(_distance_table(atlas), "Largest distance of the newest version, by optimiser"),
        Table(_change_table(atlas), "What each version changed", folded=True),
    ]
    return Section(
        "Atlas of versions",
        [atlas_headline(atlas)],
        method=[
            render(
                _SENTENCES,
                "how",
                problem=ATLAS_PROBLEM,
                steps=ATLAS_STEPS[-1],
                looked_at=ATLAS_STEPS,
                round_off=ROUND_OFF_ALONE,
            ),
            render(
                _SENTENCES,
                "made",
                machines=list(dict.fromkeys(maker.partition(" ")[2] for maker in makers)),
                programs=len(makers),
            ),
        ],
        points=points,
        tables=[table for table in tables if len(table.frame)],
        pictures=[
            Picture(
                "atlas",
                partial(draw_atlas, atlas),
                "Distance from the float64 reference as a multiple of what round-off alone comes to, by "
                "version (across) and setting (down); a dot where bits differ from the version before.",
                atlas_headline(atlas),
            )
        ]
        if atlas.libraries
        else [],
        kind="verdict",
    )


def write_atlas_report(atlas: Atlas, folder: RunFolder) -> PageAddress:
    """Write atlas.md, atlas.html and figures/ into the folder; the page's address."""
    title = Title("Atlas of versions", "which version of which library changed what")
    return write_sections(title, [atlas_section(atlas)], folder, "atlas")


def _alone(atlas: Atlas) -> dict[AtlasSetting, float]:
    """How far round-off alone carries each setting."""
    return {setting: path.last for setting, path in atlas.of(ROUND_OFF_ALONE, "").items()}


def _times_round_off(atlas: Atlas, library: str, version: str) -> dict[AtlasSetting, float]:
    """The distances of a column after the last step over those of round-off alone."""
    alone = _alone(atlas)
    return {
        setting: path.last / alone[setting] for setting, path in atlas.of(library, version).items()
    }


def _jumps(atlas: Atlas) -> list[str]:
    """A sentence for each version that comes nearer to the reference, or goes away from it."""
    alone = _alone(atlas)
    said = []
    for library, old, new, found in version_steps(atlas):
        for nearer in (True, False):
            moved = [
                change
                for change in found
                if _moved(change, alone[change.setting]) == (1 if nearer else -1)
            ]
            if moved:
                most = max(moved, key=lambda c: abs(np.log(c.after / c.before)))
                said.append(
                    render(
                        _SENTENCES,
                        "jump",
                        library=library,
                        old=old,
                        new=new,
                        nearer=nearer,
                        settings=len(moved),
                        where=" ".join(most.setting),
                        before=f"{most.before:.1e}",
                        after=f"{most.after:.1e}",
                    )
                )
    return said


def _moved(change: AtlasChange, alone: float) -> int:
    """1 for nearer to the reference, -1 for further from it, 0 for what round-off may do."""
    if max(change.before, change.after) <= BEYOND * alone:
        return 0
    if change.after * BEYOND < change.before:
        return 1
    return -1 if change.before * BEYOND < change.after else 0


def _far(atlas: Atlas) -> list[str]:
    """A sentence for each library whose newest version is beyond round-off somewhere."""
    said = []
    for library in atlas.libraries:
        for version in atlas.trained(library)[-1:]:
            times = _times_round_off(atlas, library, version)
            beyond = {setting: factor for setting, factor in times.items() if factor > BEYOND}
            if beyond:
                worst = max(beyond, key=lambda setting: beyond[setting])
                said.append(
                    render(
                        _SENTENCES,
                        "far",
                        library=library,
                        version=version,
                        settings=len(beyond),
                        all=len(times),
                        where=" ".join(worst),
                        last=f"{atlas.of(library, version)[worst].last:.1e}",
                        alone=f"{_alone(atlas)[worst]:.1e}",
                    )
                )
    return said


def _library_table(atlas: Atlas) -> pd.DataFrame:
    rows = []
    steps = list(version_steps(atlas))
    for library in atlas.libraries:
        versions = atlas.trained(library)
        own = [found for name, _, _, found in steps if name == library]
        row: dict[str, object] = {
            "library": library,
            "versions": f"{versions[0]} to {versions[-1]}" if versions else NOTHING,
            "trained": len(versions),
            "steps": len(own),
            "keep every bit": sum(not found for found in own),
        }
        if versions:
            times = _times_round_off(atlas, library, versions[-1])
            row |= {
                "settings": len(times),
                "beyond round-off": sum(factor > BEYOND for factor in times.values()),
            }
        rows.append(row)
    return pd.DataFrame(rows).astype(object)


def _distance_table(atlas: Atlas) -> pd.DataFrame:
    rows = []
    columns = [(name, atlas.trained(name)[-1:]) for name in atlas.libraries]
    for library, versions in [(ROUND_OFF_ALONE, [""]), *columns]:
        for version in versions:
            row: dict[str, object] = {"library": f"{library} {version}".strip()}
            own = atlas.of(library, version)
            for dtype in ATLAS_DTYPES:
                for name in OPTIMISERS_OF:
                    far = [
                        p.last for s, p in own.items() if (s.optimiser, s.dtype) == (name, dtype)
                    ]
                    row[f"{name} {dtype}"] = f"{max(far):.1e}" if far else NOTHING
            rows.append(row)
    return pd.DataFrame(rows).astype(object)


def _change_table(atlas: Atlas) -> pd.DataFrame:
    rows = []
    for library, old, new, found in version_steps(atlas):
        row: dict[str, object] = {"library": library, "from": old, "to": new}
        if not found:
            rows.append(row | {"other bits": 0})
            continue
        first = min(found, key=lambda c: c.step)
        row |= {
            "other bits": f"{len(found)}{'' if all(c.known for c in found) else ' ?'}",
            "first after step": first.step,
            "tensor": first.tensor,
            "in": " ".join(first.setting),
        }
        for dtype in ATLAS_DTYPES:
            own = [c for c in found if c.setting.dtype == dtype]
            if own:
                before, after = max(c.before for c in own), max(c.after for c in own)
                row[dtype] = f"{before:.1e} → {after:.1e}"
        rows.append(row)
    return pd.DataFrame(rows).astype(object)


def draw_atlas(atlas: Atlas) -> Figure:
    """Versions across, settings down; the colour says how far, a dot where bits changed."""
    places, ticks, heads = _layout(atlas)
    width = max((x for x in places.values()), default=0) + 1
    values = np.full((len(ATLAS_SETTINGS), width), np.nan)
    for (library, version), x in places.items():
        times = _times_round_off(atlas, library, version)
        for setting, factor in times.items():
            values[ATLAS_SETTINGS.index(setting), x] = factor
    across, down = 2.4 + 0.152 * width, 1.7 + 0.152 * len(ATLAS_SETTINGS)
    figure = Figure(figsize=(across, down))
    figure.subplots_adjust(
        left=1.75 / across, right=1 - 0.55 / across, top=1 - 0.35 / down, bottom=1.1 / down
    )
    axes = figure.subplots()
    axes.pcolormesh(
        np.ma.masked_invalid(np.where(np.isinf(values), 1e300, values)),
        cmap=ListedColormap(_COLOURS),
        norm=BoundaryNorm([*_BOUNDS[:-1], 1e301], len(_COLOURS)),
        edgecolors="white",
        linewidth=0.5,
    )
    dots = [
        (places[library, new] + 0.5, ATLAS_SETTINGS.index(change.setting) + 0.5)
        for library, _, new, found in version_steps(atlas)
        for change in found
    ]
    if dots:
        axes.plot(*zip(*dots, strict=True), "o", ms=2.2, color=INK, mew=0)
    _name_axes(axes, ticks, heads)
    legend = _legend()
    axes.legend(
        handles=legend,
        loc="upper left",
        bbox_to_anchor=(-0.01, -0.13),
        ncols=len(legend),
        frameon=False,
        fontsize=8,
        handlelength=1.2,
        handletextpad=0.4,
        columnspacing=1.2,
    )
    return figure


def _layout(
    atlas: Atlas,
) -> tuple[dict[tuple[str, str], int], list[tuple[float, str]], list[tuple[float, str]]]:
    """The place of each column; the versions under them, and the libraries over them, by place."""
    places: dict[tuple[str, str], int] = {}
    ticks, heads, x = [], [], 0
    for library in atlas.libraries:
        versions = atlas.trained(library)
        heads.append((float(x), library))
        for version in versions:
            places[library, version] = x
            ticks.append((x + 0.5, version))
            x += 1
        x += 1 if len(versions) > 1 else 2  # a gap, and room for the name
    return places, ticks, heads


def _name_axes(
    axes: Axes, ticks: Sequence[tuple[float, str]], heads: Sequence[tuple[float, str]]
) -> None:
    axes.invert_yaxis()
    axes.set_xticks([x for x, _ in ticks], [name for _, name in ticks], rotation=90, fontsize=6.5)
    axes.set_yticks(
        [y + 0.5 for y in range(len(ATLAS_SETTINGS))],
        [" ".join(setting) for setting in ATLAS_SETTINGS],
        fontsize=6.5,
    )
    axes.tick_params(length=0)
    for x, name in heads:
        axes.text(x, -0.5, name, fontsize=7.5, weight="bold", ha="left", va="bottom", rotation=0)
    axes.spines[:].set_visible(False)


def _legend() -> list[Patch | Line2D]:
    words = [f"within {BEYOND:g} times round-off"]
    words += [f"to 1e{np.log10(high):.0f}" for high in _BOUNDS[2:-1]]
    words += ["beyond"]
    patches: list[Patch | Line2D] = [
        Patch(facecolor=colour, edgecolor=FAINT, linewidth=0.3, label=word)
        for colour, word in zip(_COLOURS, words, strict=True)
    ]
    dot = Line2D(
        [], [], marker="o", ms=3, color=INK, lw=0, label="bits differ from the version before"
    )
    return [*patches, dot]
