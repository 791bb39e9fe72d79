"""An upgrade's verdict as sections of a report."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd

from harness.compare.formats import comparison_json
from harness.compare.section import comparison_section
from harness.document.plain import plain
from harness.document.section import Section, Table, Title
from harness.document.words import render
from harness.document.writer import PageAddress, write_sections
from harness.parity.record import parity_json, parity_page
from harness.results.run_folder import RunFolder
from harness.upgrade.upgrade import Upgrade

_SENTENCES = "upgrade/sentences.jinja"


def upgrade_headline(upgrade: Upgrade, cells: int) -> str:
    """The answer in one sentence."""
    old, new = upgrade.backends
    margin = upgrade.comparison.margin if upgrade.comparison else 0.0
    return render(
        _SENTENCES,
        "headline",
        outcome=str(upgrade.outcome),
        old=old,
        new=new,
        grid=cells,
        margin=f"{100 * margin:g} points",
    )


def upgrade_section(upgrade: Upgrade, cells: int) -> Section:
    """The answer, where the two part, and what is installed for each."""
    points = []
    if len(upgrade.versions) > 2 and upgrade.partings:
        words = {"versions": upgrade.versions, "oldest": upgrade.versions[0]}
        points.append(render(_SENTENCES, "first", new=upgrade.backends[1], **words))
    for parting in upgrade.partings:
        told = asdict(parting) | {"relative": f"{parting.relative:.1e}"}
        points.append(render(_SENTENCES, "parting", **told))
    old, new = upgrade.installed
    table = pd.DataFrame(
        [(name, old.get(name), new.get(name)) for name in dict.fromkeys((*old, *new))],
        columns=["installed", *upgrade.backends],
    )
    return Section(
        "Upgrade",
        [upgrade_headline(upgrade, cells)],
        points=points,
        tables=[Table(table.astype(object))],
        kind="warning" if upgrade.exit_code else "verdict",
    )


def write_upgrade(upgrade: Upgrade, cells: int, address: str) -> PageAddress:
    """Write upgrade.json, .md, .html and figures/; the page's address."""
    folder = RunFolder(address)
    folder.claim([f"upgrade.{kind}" for kind in ("json", "md", "html")])
    folder.write_json("upgrade.json", upgrade_json(upgrade, cells))
    sections, explorer = [upgrade_section(upgrade, cells)], None
    if upgrade.parity is not None:
        more, explorer = parity_page(upgrade.parity)
        sections += more
    if upgrade.comparison is not None:
        sections.append(comparison_section(upgrade.comparison))
    title = Title("Upgrade", " · ".join(upgrade.backends))
    return write_sections(title, sections, folder, "upgrade", explorer)


def upgrade_json(upgrade: Upgrade, cells: int) -> dict[str, Any]:
    """Everything, with parity and comparison where there was need of them."""
    record: dict[str, Any] = plain(
        {
            "outcome": str(upgrade.outcome),
            "exit_code": int(upgrade.exit_code),
            "headline": upgrade_headline(upgrade, cells),
            "versions": list(upgrade.versions),
            "backends": list(upgrade.backends),
            "installed": list(upgrade.installed),
            "partings": [asdict(parting) for parting in upgrade.partings],
            "parity": upgrade.parity and parity_json(upgrade.parity),
            "comparison": upgrade.comparison and comparison_json(upgrade.comparison),
        }
    )
    return record
