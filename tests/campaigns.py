"""How long the campaigns are: some tests are a short form of one. Not tests."""

from __future__ import annotations

import os


def trials(variable: str, short: range) -> range:
    """The numbers of a campaign's trials: the short form's, or those that a variable asks for.

    ``500``: as many from 0 on; ``240:740``: from 240 on, which are fresh where 0 to 239 were tried.
    """
    given = os.environ.get(variable, "")
    return range(*(int(number) for number in given.split(":"))) if given else short
