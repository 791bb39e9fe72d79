"""What several test modules share: small data, a browser, and threads fixed before any import."""

from __future__ import annotations

import shutil

from backends.frameworks import set_threads

set_threads(1)

import numpy as np  # noqa: E402  (thread counts are read at import)
import pytest  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from backends.base import Network  # noqa: E402
from backends.plan import Plan  # noqa: E402

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

threadpool_limits(1)  # pytest's plugins may have imported NumPy before the line above


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def blobs():
    """60 samples of 5 features in 3 classes, as float64 values that float32 can represent."""
    rng = np.random.default_rng(3)
    y = np.repeat(np.arange(3), 20)
    x = rng.normal(size=(60, 5)) + 2.0 * np.eye(5)[y]
    return x.astype(np.float32).astype(np.float64), y


@pytest.fixture
def draw():
    """Draws a plan on the first ``rows`` samples."""

    def draw(network: Network, rows: int = 60, seeds=(0,), **settings) -> Plan:
        settings = {"epochs": 3, "batch_size": 20, "dtype": "float64"} | settings
        return Plan.draw(network, np.arange(rows), seeds, **settings)

    return draw


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("no Chromium here: the page is not tried in a browser")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def visit(browser):
    """Opens an address at some width; in the end the console must have been silent."""
    said, contexts = [], []

    def visit(address, width=1400, height=900, scheme="light", ready="#x-curves svg"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(address)
        page.wait_for_selector(ready)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert said == []
