"""ProcessModels that run freely, without time steps."""

from __future__ import annotations

from typing import Any

from .loihi import AbstractPyProcessModel


class PyAsyncProcessModel(AbstractPyProcessModel):
    """Base of models that run freely, coupled to others by their channels only.

    The compiler refuses networks that hold one until the runtime executes the asynchronous protocol.

    Attributes
    ----------
    num_steps : int
        Number of steps asked for in the present run; what it means is up to the model.
    """

    num_steps: int = 0

    def __init__(self, proc_params: Any = None) -> None:
        super().__init__(proc_params)

    def run_async(self) -> None:
        """Do the work of one run; must be overridden."""
        raise NotImplementedError(f"{type(self).__name__} must define run_async().")
