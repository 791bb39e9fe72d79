"""``harness hold``: a model, as its library holds it, trained in recording and judged."""

from __future__ import annotations

from typing import Annotated, Any

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
        str,
        typer.Option(
            metavar="NAME",
            help="The optimizer's name in the script (torch, JAX); or sgd or adam, which you believe it is.",
        ),
    ] = "optimizer",
    loss: Annotated[
        str, typer.Option(metavar="NAME", help="The loss's name in the script (torch).")
    ] = "loss",
    params: Annotated[
        str, typer.Option(metavar="NAME", help="The parameters' name in the script (JAX).")
    ] = "params",
    eta: Annotated[
        float | None,
        typer.Option(
            help="What you believe eta is; of plain gradient descent that of the training (JAX).",
            show_default=False,
        ),
    ] = None,
    lmbd: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER[,NUMBER]...",
            help="What you believe lmbd is, in lmbd / 2 ||W||^2 on all matrices, or one for each.",
            show_default=False,
        ),
    ] = None,
    l1: Annotated[
        float | None, typer.Option(help="Likewise of an L1 penalty.", show_default=False)
    ] = None,
    momentum: Annotated[
        float | None, typer.Option(help="Likewise the momentum.", show_default=False)
    ] = None,
    nesterov: Annotated[
        bool | None,
        typer.Option("--nesterov/--no-nesterov", help="Likewise its form.", show_default=False),
    ] = None,
    beta_1: Annotated[
        float | None, typer.Option(help="Likewise Adam's beta_1.", show_default=False)
    ] = None,
    beta_2: Annotated[
        float | None, typer.Option(help="Likewise Adam's beta_2.", show_default=False)
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Likewise Adam's epsilon.", show_default=False)
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of the hidden layers, where the library does not tell it (functions called in a torch "
            "forward, JAX), by default found from the steps; or what you believe it is.",
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

    What you say that you believe is held against the model, in place of what it says of itself.

    Exit codes: 0 every step is the reference's; 1 not; 3 it could not be told.
    """
    from pathlib import Path

    import numpy as np

    from backends.recording import OPTIMIZER_NAMES, optimizer_meant
    from harness.cli.recordings import judge_files
    from harness.errors import InputError, unknown
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
    said: dict[str, Any] = {
        "eta": eta,
        "lmbd": None if lmbd is None else _numbers("lmbd", lmbd),
        "l1": l1,
        "momentum": momentum,
        "nesterov": nesterov,
        "beta_1": beta_1,
        "beta_2": beta_2,
        "epsilon": epsilon,
        "activation": activation,
    }
    names = model_in_script(model)
    believed = optimizer in OPTIMIZER_NAMES or bool(optimizer_meant(optimizer))
    if believed and (optimizer not in names or callable(names[optimizer])):
        said["optimizer"], optimizer = optimizer, "optimizer"
    elif optimizer not in (*names, "optimizer"):
        public = [own for own in names if not own.startswith("_")]
        raise unknown("optimizer", optimizer, [*public, *OPTIMIZER_NAMES])
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
        said=said,
        epochs=epochs,
        batch_size=batch_size,
    )
    raise typer.Exit(judge_files([str(recording)], (), str(folder), feedback, junit, json))


def _numbers(name: str, text: str) -> float | list[float]:
    """One number, or the list that is written with commas."""
    from harness.errors import InputError

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"{name}: found {text!r}; allowed: a number, or one a weight matrix as in 1e-4,0"
        ) from None
    return values if "," in text else values[0]
