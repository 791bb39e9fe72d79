"""Nothing is lost and nothing damaged is taken for a result: a bounded part of the campaign, by kind.

HARNESS_CAMPAIGN=20 makes it twenty times as long, HARNESS_CAMPAIGN_SEED another one.
"""

from __future__ import annotations

import os

import pytest
from disk_campaign import KINDS, Campaign


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    seed = int(os.environ.get("HARNESS_CAMPAIGN_SEED", "0"))
    times = int(os.environ.get("HARNESS_CAMPAIGN", "1"))
    return Campaign(tmp_path_factory.mktemp("campaign"), seed, times)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_trial_holds(campaign, kind):
    tally = getattr(campaign, kind)()
    assert tally.tried
    assert not tally.failures, "\n".join(tally.failures)
