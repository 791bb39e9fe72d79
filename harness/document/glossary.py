"""The words that a page uses, each with what it means there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from harness.document.section import Section, Table

# in the order in which they are told; one is told of where it, or one of its other forms, stands on the page
_WORDS = {
    "backend": "one implementation of the network, such as NumPy's or scikit-learn's",
    "preset": "a table of settings to start from; under fair all backends are given one network, one "
    "objective, the same initial weights and minibatches, so that what differs is the library's; under "
    "lecture each trains as the lecture notes' program does",
    "eta": "the learning rate",
    "lmbd": "the strength of the L2 penalty, lambda in formulas",
    "cell": "a pair of values of eta and lmbd; all of them are the grid",
    "repeat": "one more training of every cell, from other random draws",
    "plan": "everything random, drawn once before any backend sees it: initial weights, order of minibatches",
    "validation": "the part of the data that chooses a cell; the test part is kept for the score told",
    "optimism": "by how much the best test score of all cells flatters beside that of the chosen cell",
    "points": "percentage points: from 95 % to 97 % are 2 points",
    "95 % interval": "a range that holds the true value in 95 of 100 such cases",
    "R²": "the share of the targets' variance that is explained: 1 is perfect, 0 as good as the mean target, "
    "below 0 worse than that",
    "diverged": "the weights or outputs grew until they were no numbers any more",
    "round-off": "what is lost because numbers in a computer have some 7 (float32) or 16 (float64) digits; "
    "sums in another order lose otherwise",
    "twin": "the same training, its sums in another order, its results rounded otherwise: what differs "
    "from it is round-off",
    "chaotic": "said of a training in which round-off grows until twins end elsewhere: which labels differ "
    "then says nothing about which program is right",
    "sensitive": "said of a training in which round-off grows, but not so far",
    "stable": "said of a training whose twins stay together",
    "reference": "what backends are held against: the first of them, or, where parity and chaos are "
    "judged, the training written out in float64",
    "stock program": "the library as its own documentation teaches it, nothing made up for",
    "relative error": "an error over the largest entry of what it is an error of",
    "baseline": "a reviewed run, kept as text, that later runs are checked against",
    "margin": "the difference that is too small to matter; scores within it are equivalent",
    "Cohen's kappa": "agreement of labels beyond what chance gives: 1 is all, 0 no more than chance",
    "McNemar": "a test on the samples that one labels right and the other wrong: are both as many?",
    "Holm": "a correction of p values where many are looked at, so that one small by chance is no finding",
    "false-discovery": "a weaker correction: of what it lets through, some few per cent are there by chance",
    "-dirty": "said of a commit: there were changes that had not been committed",
}


def glossary(said: Iterable[str], sections: Sequence[Section]) -> Iterator[Section]:
    """A folded section of the words that stand in some texts or sections; none where there are none."""
    texts = " ".join([*said, *(text for section in sections for text in _texts(section))])
    rows = [
        {"word": word, "what it means here": meaning}
        for word, meaning in _WORDS.items()
        if re.search(rf"(?<!\w){re.escape(word)}", texts, re.IGNORECASE)
    ]
    if rows:
        table = Table(pd.DataFrame(rows), name="words")
        yield Section("Words", tables=[table], summary="what is meant by them here")


def _texts(section: Section) -> Iterator[str]:
    """All that is said in a section."""
    yield from (section.title, section.summary, *section.text, *section.points, *section.method)
    for table in section.tables:
        yield from (table.caption, *map(str, table.header))
        yield from (str(entry) for row in table.rows for entry in row)
    for picture in section.pictures:
        yield picture.caption
