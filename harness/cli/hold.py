"""``harness hold``: a model, as its library holds it, trained in recording and judged."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import DEBUG


def hold_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="SCRIPT.py:NAME",
            help="A script and the name in it of a compiled Keras model, a torch Module, a scikit-learn "
            "MLP or a JAX loss function.",
        ),
    ],
    *,
    data: Annotated[
        str, typer.Option(metavar="FILE", help="An .npz file with x and y, as the model sees them.")
    ],
    optimizer: Annotated[
        str, typer.Option(metavar="NAME", help="The optimizer's name in the script (torch, JAX).")
    ] = "optimizer",
    loss: Annotated[
        str, typer.Option(metavar="NAME", help="The loss's name in the script (torch).")
    ] = "loss",
    params: Annotated[
        str, typer.Option(metavar="NAME", help="The parameters' name in the script (JAX).")
    ] = "params",
    eta: Annotated[
        float | None,
        typer.Option(help="Of plain gradient descent (JAX).", show_default=False),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of the hidden layers, where the library does not tell it (functions called in a torch "
            "forward, JAX); by default found from the steps.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Epochs to train.")] = 3,
    batch_size: Annotated[int, typer.Option(help="Samples in a minibatch.")] = 32,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the recording and the page; by default NAME-parity.",
            show_default=False,
        ),
    ] = None,
    feedback: Annotated[
        bool, typer.Option("--feedback", help="As of harness parity.", show_default=False)
    ] = False,
    junit: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the verdict as JUnit XML.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON.", show_default=False)
    ] = False,
    debug: DEBUG = False,
) -> None:
    """Read a model's settings, train it for a few epochs on your data, and judge every step.

    Exit codes: 0 every step is the reference's; 1 not; 3 it could not be told.
    """
    from pathlib import Path

    import numpy as np

    from harness.cli.recordings import judge_files
    from harness.errors import InputError
    from harness.recordings.held_model import model_in_script, record_model

    if not Path(data).is_file():
        raise InputError(f"data: found no file {data!r}; allowed: an .npz file with x and y")
    try:
        with np.load(data, allow_pickle=False) as file:
            members = {name.lower(): file[name] for name in file.files}
    except (ValueError, OSError, AttributeError) as error:
        raise InputError(
            f"data: {data!r} cannot be read ({error}); allowed: an .npz file with x and y"
        ) from None
    for name in ("x", "y"):
        if name not in members:
            raise InputError(f"data: found {', '.join(members)} in {data!r}; allowed: x and y")
    names = model_in_script(model)
    folder = Path(output or f"{model.rpartition(':')[2]}-parity")
    folder.mkdir(parents=True, exist_ok=True)
    recording = folder / "recording.npz"
    record_model(
        names["model"],
        members["x"],
        members["y"],
        path=recording,
        optimizer=names.get(optimizer),
        loss=names.get(loss),
        params=names.get(params),
        eta=eta,
        activation=activation,
        epochs=epochs,
        batch_size=batch_size,
    )
    raise typer.Exit(judge_files([str(recording)], (), str(folder), feedback, junit, json))
