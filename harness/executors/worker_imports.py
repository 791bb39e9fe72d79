"""What every worker needs: imported once by the server that forks them.

The objects that this makes are exempt from garbage collection, so that no worker looks through them and
the memory stays shared.
"""

import gc

from backends.frameworks import garbage_waits

with garbage_waits():
    import sklearn.model_selection

    import harness.training.run_unit

gc.freeze()

__all__ = ["harness", "sklearn"]
