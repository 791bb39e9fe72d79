"""What a network, its training and its draws can be, by name.

Imports nothing, so that settings are read quickly.
"""

from __future__ import annotations

from typing import Literal

# leaky_relu's slope and elu's alpha are backends.formulas.LEAKY_SLOPE and ELU_ALPHA
Activation = Literal["identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu"]
Optimizer = Literal["sgd", "adam"]
Minibatches = Literal["permutation", "reshuffle", "independent"]
InitialWeights = Literal["glorot_uniform", "normal", "truncated_normal"]
InitialBias = float | Literal["as_weights"]
