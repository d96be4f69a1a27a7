"""Population: what Processes have in common whose shape is one of their parameters."""

from __future__ import annotations

from .process import AbstractProcess


class Population(AbstractProcess):
    """A Process that can be asked for its shape; has no ProcessModel."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the population."""
        return self.proc_params["shape"]
