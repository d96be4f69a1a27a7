"""The Processes of a Plan that are alive: they are given the Runtime, so that Vars, Monitors and pipes reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lahar.compiler import Plan, network_processes
from lahar.compiler.plan import ProcessSpec
from lahar.processes.errors import StateError, ValidationError
from lahar.processes.process import AbstractProcess, ProcessServer

if TYPE_CHECKING:
    from .runtime import Runtime


def members_of(plan: Plan) -> list[AbstractProcess]:
    """Return every Process of the network of a Plan, hierarchical ones included.

    A Plan is plain data and runs without the Processes that it was compiled from: the list is empty if none of
    them is alive.

    Raises
    ------
    ValidationError
        The network has changed since the Plan was compiled.
    """
    known = {process.id: process for process in ProcessServer().processes}
    for spec in plan.processes:
        process = known.get(spec.id)
        if process is not None and _is_of(process, spec):
            members = network_processes(process)
            refuse_strangers(process, members, plan)
            return members
    return []


def _is_of(process: AbstractProcess, spec: ProcessSpec) -> bool:
    """Whether this is the Process that was compiled, and not one that has got its number later."""
    same_name = (process.name, type(process).__name__) == (spec.name, spec.class_name)
    return same_name and {v.id for v in process.vars} == {v.id for v in spec.vars}


def refuse_running(members: list[AbstractProcess]) -> None:
    """Refuse Processes of a network that has been started.

    Raises
    ------
    StateError
        The Runtime of one of them is open.
    """
    for member in members:
        runtime = member.runtime
        if runtime is not None and not runtime.is_closed:
            raise StateError(
                f"Process '{member.name}' belongs to a network that has been started. stop() it before it is "
                "compiled again, extended, or run by another Runtime."
            )


def refuse_strangers(process: AbstractProcess, members: list[AbstractProcess], plan: Plan) -> None:
    """Refuse a Plan in which Processes run that are not of the network of `process`.

    Raises
    ------
    ValidationError
        There are such.
    """
    known = {member.id for member in members}
    strange = next((spec.name for spec in plan.processes if spec.id not in known), None)
    if strange is not None:
        raise ValidationError(
            f"the plan is not of the network of process '{process.name}': '{strange}' does not belong to it. Compile "
            f"this network with '{process.name}'.compile(run_cfg).",
            "executable",
        )


def enlist(members: list[AbstractProcess], runtime: Runtime) -> None:
    """Give Processes their Runtime, which has been initialised, and their pipes."""
    for member in members:
        member.runtime = runtime
        for port in member.in_ports:
            if port.external_pipe_flag:
                port.external_pipe_csp_send_port = runtime.pipe(member, port.name)
        for port in member.out_ports:
            if port.external_pipe_flag:
                port.external_pipe_csp_recv_port = runtime.pipe(member, port.name)
