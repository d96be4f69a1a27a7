"""The Plan on its way to the workers."""

from __future__ import annotations

import pickle

import cloudpickle

from lahar.compiler.plan import Plan, ProcessSpec
from lahar.processes.errors import UnpicklableError


def pickle_plan(plan: Plan) -> bytes:
    """Pickle a Plan for the workers.

    Raises
    ------
    UnpicklableError
        Names the process and the argument that cannot be pickled.
    """
    try:
        return bytes(cloudpickle.dumps(plan, protocol=pickle.HIGHEST_PROTOCOL))
    except Exception as error:
        for spec in plan.processes:
            _find_unpicklable(spec)
        raise UnpicklableError(f"The plan cannot be sent to worker processes: {error}") from error


def _find_unpicklable(spec: ProcessSpec) -> None:
    suspects = [(f"argument '{k}'", v) for k, v in spec.proc_params._parameters.items()]
    suspects += [(f"the initial value of Var '{v.name}'", v.init) for v in spec.vars]
    suspects.append((f"model class {spec.model.__name__}", spec.model))
    for what, value in suspects:
        try:
            cloudpickle.dumps(value)
        except Exception as error:
            raise UnpicklableError(
                f"Process '{spec.name}' ({spec.class_name}): {what} of type {type(value).__name__} cannot be sent to "
                f"a worker process: {error}. Pass what is needed to make it inside the model, or run with "
                "launcher='inline'."
            ) from error
