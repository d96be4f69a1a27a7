"""What Processes share that reach a Var of another Process at the end of a time step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .errors import LaharWarning, PortError, StateError, ValidationError
from .model import PyLoihiProcessModel, PyRefPort
from .parameters import as_integer
from .ports import RefPort
from .process import AbstractProcess
from .var import Var


class VarAccessProcess(AbstractProcess):
    """Base of Processes that reach one Var of another Process through their RefPort `state`.

    Attributes
    ----------
    state : RefPort
        Shape (1,) until `connect_var` gives it the shape of a Var.
    """

    def __init__(self, **proc_params: Any) -> None:
        super().__init__(**proc_params)
        self.state = RefPort(shape=(1,))

    def connect_var(self, var: Var) -> None:
        """Say which Var is meant; to be called once, before the network is started.

        Parameters
        ----------
        var : Var
            Of another Process, in any shape.

        Raises
        ------
        ArgumentTypeError, VarNotSharableError
            `var` is no Var, belongs to this Process, or is not shareable.
        PortError
            This Process has been connected to a Var already.
        StateError
            The network has been started.
        """
        if self.state.get_dst_ports():
            present = self.state.get_dst_vars()[0].path
            raise PortError(
                f"{type(self).__name__} '{self.name}' has been connected to Var '{present}' already; use one "
                f"{type(self).__name__} per Var."
            )
        for member in (self, getattr(var, "process", None)):
            if member is not None and member.runtime is not None and not member.runtime.is_closed:
                raise StateError(
                    f"{type(self).__name__} '{self.name}' cannot be connected: the network of '{member.name}' "
                    "has been started. Call connect_var() before the first run."
                )
        state = RefPort(shape=getattr(var, "shape", (1,)))
        state.name, state.process = "state", self
        state.connect_var(var)
        self.state = state
        self._fit(var.shape)
        self._post_init()

    def _fit(self, shape: tuple[int, ...]) -> None:
        """Give Vars the shape of the Var that was connected."""


class VarAccessModel(PyLoihiProcessModel):
    """Base of models of such Processes."""

    state: PyRefPort

    def on_build(self) -> None:
        super().on_build()
        if not self.state.csp_ports:
            warnings.warn(
                f"'{self.process_name}' is connected to no Var and has no effect: call connect_var() before the "
                "network is started.",
                LaharWarning,
                stacklevel=2,
            )


class PeriodicModel(PyLoihiProcessModel):
    """Acts at the end of the time steps t with ``(t - 1) % interval == offset``."""

    interval: np.ndarray
    offset: np.ndarray

    def on_var_update(self) -> None:
        super().on_var_update()
        check_interval(self.interval.item(), f"{self.process_name}.interval")

    def post_guard(self) -> bool:
        return (self.time_step - 1) % self.interval.item() == self.offset.item()


def check_interval(interval: Any, where: str) -> int:
    """Return `interval` as an int.

    Raises
    ------
    ArgumentTypeError, ValidationError
        It is not a positive integer.
    """
    interval = as_integer(interval, where)
    if interval < 1:
        raise ValidationError(f"must be a number of time steps, at least 1, not {interval}.", where)
    return interval


def check_period(interval: Any, offset: Any, owner: str) -> tuple[int, int]:
    """Return `interval`, and `offset` modulo it, as ints; `owner` is named in errors."""
    interval = check_interval(interval, f"{owner}.interval")
    return interval, as_integer(offset, f"{owner}.offset") % interval
