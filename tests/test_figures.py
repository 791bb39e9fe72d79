"""Heatmaps show every score where it belongs, and no score where there is none."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.text import Text
from PIL import Image

from harness.api import run
from harness.document import canvas, heatmaps, number_words
from harness.document.heatmaps import Map, Scale, figure_of, marks
from harness.document.text_artist import Words
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.report.curve_figures import learning_curves
from harness.report.heatmaps_section import heatmaps_section, side_by_side_section
from harness.report.runs import Material

SCALE = Scale("viridis", 0.0, 100.0, "accuracy (%)")


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """A run of which some cells diverge."""
    experiment = experiment_from(
        {
            "dataset": "iris",
            "scale": "standard",
            "backends": ["numpy", "sklearn"],
            "eta": [0.01, 0.1, 1.0],
            "lmbd": [0.0, 1000.0],
            "epochs": 2,
            "batch_size": 20,
        }
    )
    output = str(tmp_path_factory.mktemp("runs"))
    return run(experiment, Execution(executor="serial", output=output, name="iris"))


def grid(rows, columns, status=None, chosen=None, values=None):
    """A map whose values count from 0."""
    values = np.arange(float(rows * columns)).reshape(rows, columns) if values is None else values
    return Map(
        "a map",
        np.logspace(-5, 1, rows),
        np.logspace(-5, 1, columns),
        values,
        np.vectorize(lambda v: f"{v:.0f}", otypes=[object])(values),
        np.full((rows, columns), "ok", dtype=object) if status is None else status,
        chosen,
    )


def drawn(figure):
    """The heatmap of every panel, colour bars left out."""
    return [a for a in figure.axes if a.get_title(loc="left")]


def mesh(axis):
    return next(c for c in axis.collections if isinstance(c, QuadMesh))


def written_words(axis):
    """Every text of a panel, by its place in data coordinates."""
    found = [w for w in axis.artists if isinstance(w, Words)]
    return {tuple(at): text for w in found for text, at in zip(w.texts, w.at.tolist(), strict=True)}


def legend(axis):
    return [t.get_text() for t in axis.get_legend().get_texts()] if axis.get_legend() else []


def test_eta_goes_down_and_lmbd_across():
    with canvas.style():
        (axis,) = drawn(figure_of([grid(3, 2)], SCALE, 1))
    words = written_words(axis)
    assert axis.yaxis_inverted()
    assert (words[0.5, 0.5], words[1.5, 2.5]) == ("0", "5")
    assert [words[0.0, y] for y in (0.5, 1.5, 2.5)] == ["10⁻⁵", "10⁻²", "10¹"]
    assert [words[x, 3.0] for x in (0.5, 1.5)] == ["10⁻⁵", "10¹"]
    assert "eta" in axis.get_ylabel()
    assert "lmbd" in axis.get_xlabel()


def test_a_cell_without_a_number_is_hatched_and_named_and_never_coloured():
    status = np.full((3, 3), "ok", dtype=object)
    status[2, 1:] = "diverged"
    status[0, 0] = "timeout"
    with canvas.style():
        (axis,) = drawn(figure_of([grid(3, 3, status)], SCALE, 1))
    assert np.array_equal(np.ma.getmaskarray(mesh(axis).get_array()), status != "ok")
    words = written_words(axis)
    assert (words[1.5, 2.5], words[2.5, 2.5], words[0.5, 0.5]) == ("×", "×", "…")
    assert legend(axis) == ["… timeout (1)", "× diverged (2)"]
    hatched = [c for c in axis.collections if isinstance(c, PolyCollection) and c.get_hatch()]
    assert sum(len(c.get_paths()) for c in hatched) == 3


@pytest.mark.parametrize("status", ["diverged", "unsupported", "unavailable", "failed", "timeout"])
def test_a_map_without_any_number_is_drawn(status):
    nothing = grid(2, 2, np.full((2, 2), status, dtype=object), values=np.full((2, 2), np.nan))
    with canvas.style():
        figure = figure_of([nothing], SCALE, 1)
        image = Image.open(io.BytesIO(canvas.figure_file(figure, "png")))
    assert legend(drawn(figure)[0]) == [f"{heatmaps.MARKS[status][0]} {status} (4)"]
    assert image.width > 100


def test_each_status_of_a_record_looks_different():
    statuses = ("diverged", "unsupported", "unavailable", "failed", "timeout")
    looks = [heatmaps.MARKS[status] for status in statuses]
    assert len({sign for sign, _, _ in looks}) == len(looks)
    assert len({hatch for _, _, hatch in looks}) == len(looks)


def test_the_chosen_cell_is_outlined():
    with canvas.style():
        (axis,) = drawn(figure_of([grid(3, 3, chosen=(1, 2))], SCALE, 1))
    outline = axis.patches[-1]
    assert outline.get_xy() == pytest.approx((2, 1), abs=0.1)
    assert legend(axis) == ["chosen cell"]


@pytest.mark.parametrize("cmap", ["viridis", "RdBu_r"])
def test_numbers_stand_out_on_every_colour(cmap):
    values = np.linspace(0, 1, 144).reshape(12, 12)
    figure, axis = plt.subplots()
    mesh = axis.pcolormesh(values, cmap=cmap)
    heatmaps.annotate(axis, np.full(values.shape, "9", object))
    words = next(a for a in axis.get_children() if isinstance(a, Words))
    for ground, ink in zip(mesh.get_facecolor(), words.colours, strict=True):
        low, high = sorted([luminance(ground), luminance(to_rgba(ink))])
        assert (high + 0.05) / (low + 0.05) >= 4.5
    plt.close(figure)


@pytest.mark.parametrize("limits", [(1e-4, 1e3), (2, 7)])
def test_a_logarithmic_axis_names_its_ticks_in_plain_text(limits):
    with canvas.style():
        figure, axes = plt.subplots()
        axes.set_yscale("log")
        axes.set_ylim(*limits)
        drawn = canvas.figure_file(figure, "svg").decode()
        names = [t.get_text() for t in axes.get_yticklabels(which="both")]
        plt.close(figure)
    assert any(names)
    assert "$" not in "".join(names)
    assert "mathdefault" not in drawn
    assert ("10⁻²" in names) == (limits[0] < 1)


def luminance(colour):
    c = np.asarray(colour)[:3]
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize(
    ("low", "high", "words", "power"),
    [
        (0, 100, ["0", "20", "40", "60", "80", "100"], 0),
        (-15.3, 15.3, ["−15", "−10", "−5", "0", "5", "10", "15"], 0),
        (0.9, 1.0, ["0.90", "0.92", "0.94", "0.96", "0.98", "1.00"], 0),
        (-3e-5, 3e-5, ["−3", "−2", "−1", "0", "1", "2", "3"], -5),
    ],
)
def test_values_at_a_colour_bar_are_whole_and_clear_of_its_label(low, high, words, power):
    scale = Scale("vlag", low, high, "difference")
    assert (scale.words, scale.power) == (words, power)
    with canvas.style():
        figure = figure_of([grid(2, 2, values=np.full((2, 2), float(low)))], scale, 1)
        bar = figure.axes[-1]
        renderer = FigureCanvasAgg(figure).get_renderer()
        bar.yaxis.get_tightbbox(renderer)
        label = bar.yaxis.label.get_window_extent(renderer)
        (written,) = [a for a in bar.get_children() if isinstance(a, Words)]
        begin = written.get_transform().transform(written.at)[:, 0].max() + 5 * figure.dpi / 72
        sizes = [Text(0, 0, w, size=written.size, figure=figure) for w in words]
        end = begin + max(t.get_window_extent(renderer).width for t in sizes)
    assert end < label.x0
    assert label.x1 < figure.bbox.width
    assert bar.get_ylabel() == ("difference, in 10⁻⁵" if power else "difference")


def test_learning_curves_are_in_per_cent_as_the_maps_are(iris):
    (choice, _) = Material((iris,)).choices
    with canvas.style():
        figure = learning_curves([choice])
    above, below = figure.axes
    assert below.get_ylabel() == "accuracy (%)"
    c = iris.curves
    own = c[(c["backend"] == choice.side.backend) & (c["eta"] == choice.eta)]
    own = own[own["lmbd"] == choice.lmbd].sort_values("epoch")
    np.testing.assert_allclose(below.lines[0].get_ydata(), 100 * own["train_accuracy"])
    np.testing.assert_allclose(above.lines[0].get_ydata(), own["train_loss"])


def test_all_backends_and_parts_share_one_colour_scale(iris):
    m = Material((iris,))
    pictures = [*side_by_side_section(m).pictures, *heatmaps_section(m).pictures]
    with canvas.style():
        meshes = [mesh(axis) for p in pictures for axis in drawn(p.draw())]
    assert len(meshes) == 2 + 6
    assert len({(c.get_clim(), c.get_cmap().name) for c in meshes}) == 1
    low, high = meshes[0].get_clim()
    scores = iris.records.filter(regex="_accuracy$")
    assert low <= 100 * scores.min().min()
    assert high >= 100 * scores.max().max()


def test_the_heatmaps_hold_the_records_scores(iris):
    picture = next(
        p for p in heatmaps_section(Material((iris,))).pictures if p.name == "sklearn-test-accuracy"
    )
    with canvas.style():
        (axis,) = drawn(picture.draw())
    shown = np.ma.filled(mesh(axis).get_array(), np.nan).reshape(3, 2)
    assert shown == pytest.approx(
        100 * iris.pivot("sklearn", "test_accuracy").to_numpy(), nan_ok=True
    )


def test_a_fine_grid_has_no_numbers_and_few_names():
    with canvas.style():
        figure = figure_of([grid(50, 40, chosen=(3, 4))], SCALE, 1)
        size = len(canvas.figure_file(figure, "svg"))
    words = written_words(drawn(figure)[0])
    assert sorted(words.values()) == sorted(
        ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰", "10¹"] * 2
    )
    assert size < 100_000  # 2000 cells as one picture, not as 2000 shapes


def test_names_of_a_fine_axis_stand_at_the_powers_of_ten():
    values = np.logspace(-2, 1, 31)
    assert {round(at, 6): name for at, name in marks(values).items()} == {
        0.5: "10⁻²",
        10.5: "10⁻¹",
        20.5: "10⁰",
        30.5: "10¹",
    }


def test_a_fine_axis_within_one_decade_still_has_names():
    assert 3 <= len(marks(np.linspace(0.2, 0.8, 30))) <= heatmaps.LABELS


def test_a_png_looks_as_large_as_its_svg():
    with canvas.style():
        figure = figure_of([grid(4, 4)], SCALE, 1)
        image = Image.open(io.BytesIO(canvas.figure_file(figure, "png")))
    inches = figure.get_size_inches()
    assert (image.width, image.height) == pytest.approx(inches * canvas.DPI, abs=1)


def test_drawing_leaves_matplotlib_as_it_was():
    import matplotlib
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    with canvas.style():
        canvas.figure_file(figure_of([grid(2, 2)], SCALE, 1), "png")
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-5, "10⁻⁵"),
        (1.0, "10⁰"),
        (0.0, "0"),
        (0.05, "0.05"),
        (3.2e-5, "3.2·10⁻⁵"),
        (250.0, "250"),
    ],
)
def test_axis_values_are_short(value, text):
    assert number_words.tick(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "+1.23"), (-0.5, "−50.00"), (0.0, "0"), (1e-17, "0"), (-1e-6, "0.00"), (np.nan, "–")],
)
def test_differences_of_accuracy_are_in_points(value, text):
    assert number_words.difference(value, "accuracy") == text
