"""Every exception that Lahar raises, in one place.

All of them derive from `LaharError` and also from the nearest built-in exception, so that code
written for the built-in keeps working. A message says what is wrong, where, and what to do.
"""

from __future__ import annotations

import pickle


class LaharError(Exception):
    """Base class of all errors raised by Lahar."""


# --- what the user declared ---------------------------------------------------------------


class ValidationError(LaharError, ValueError):
    """An argument has a value that cannot work.

    Parameters
    ----------
    what : str
        What is wrong and what is expected.
    where : str, optional
        The argument or attribute, as ``Class.attribute``.
    """

    def __init__(self, what: str, where: str | None = None) -> None:
        self.where = where
        super().__init__(f"{where}: {what}" if where else what)


class ArgumentTypeError(LaharError, TypeError, AssertionError):
    """An argument has the wrong type."""


class ShapeError(LaharError, ValueError, AssertionError):
    """Two shapes that must be equal differ, or an initial value does not fit its Var."""


class DtypeError(LaharError, TypeError, ValueError):
    """A value cannot be represented in the declared type."""


class VarIndexError(LaharError, IndexError):
    """An index selects no part of a Var."""


class PortError(LaharError, TypeError, AssertionError):
    """Two ports of kinds that cannot be connected."""


class MemberError(LaharError, AttributeError, AssertionError):
    """A Collection has no member of that name."""


class RuleError(LaharError, ValueError):
    """A learning-rule string that cannot be parsed.

    Parameters
    ----------
    what : str
        What is wrong, with a hint.
    rule : str
        The rule string as the user wrote it.
    column : int
        Zero-based position in `rule` at which reading stopped.
    target : str
        ``"dw"``, ``"dd"`` or ``"dt"``.
    """

    def __init__(self, what: str, rule: str = "", column: int = 0, target: str = "rule") -> None:
        self.what, self.rule, self.column, self.target = what, rule, column, target
        lead = f"  {target} = "
        super().__init__(f"{what}\n{lead}{rule}\n{' ' * (len(lead) + column)}^" if rule else what)

    def __reduce__(self):
        return type(self), (self.what, self.rule, self.column, self.target)


class ReshapeError(LaharError, ValueError):
    """A port is reshaped to a different number of elements."""

    def __init__(self, old_shape: tuple, new_shape: tuple) -> None:
        self.old_shape, self.new_shape = old_shape, new_shape
        super().__init__(f"Cannot reshape a port of shape {old_shape} to {new_shape}: the sizes differ.")

    def __reduce__(self):
        return type(self), (self.old_shape, self.new_shape)


class TransposeShapeError(LaharError, ValueError):
    """The axes of a transposition are not as many as the port has dimensions."""

    def __init__(self, old_shape: tuple, axes: tuple) -> None:
        self.old_shape, self.axes = old_shape, axes
        super().__init__(
            f"Cannot transpose a port of shape {old_shape} by axes {axes}: give each of the "
            f"{len(old_shape)} axes exactly once."
        )

    def __reduce__(self):
        return type(self), (self.old_shape, self.axes)


class TransposeIndexError(LaharError, IndexError):
    """An axis of a transposition does not exist."""

    def __init__(self, old_shape: tuple, axes: tuple, wrong_index: int) -> None:
        self.old_shape, self.axes, self.wrong_index = old_shape, axes, wrong_index
        super().__init__(
            f"Cannot transpose a port of shape {old_shape} by axes {axes}: there is no axis {wrong_index}."
        )

    def __reduce__(self):
        return type(self), (self.old_shape, self.axes, self.wrong_index)


class ConcatShapeError(LaharError, ValueError):
    """Ports that differ outside the concatenation axis are concatenated."""

    def __init__(self, shapes: list, axis: int) -> None:
        self.shapes, self.axis = shapes, axis
        super().__init__(f"Cannot concatenate ports of shapes {shapes} along axis {axis}.")

    def __reduce__(self):
        return type(self), (self.shapes, self.axis)


class ConcatIndexError(LaharError, IndexError):
    """The concatenation axis does not exist."""

    def __init__(self, shape: tuple, axis: int) -> None:
        self.shape, self.axis = shape, axis
        super().__init__(f"Cannot concatenate along axis {axis}: the port's shape is {shape}.")

    def __reduce__(self):
        return type(self), (self.shape, self.axis)


class DuplicateConnectionError(LaharError, ValueError):
    """The same two ports are connected twice."""

    def __init__(self, what: str = "These two ports are connected already.") -> None:
        super().__init__(what)


class VarNotSharableError(LaharError, ValueError):
    """A RefPort or VarPort is attached to a Var declared with ``shareable=False``."""

    def __init__(self, var_name: str) -> None:
        self.var_name = var_name
        super().__init__(f"Var '{var_name}' is declared shareable=False: no RefPort or VarPort may reach it.")

    def __reduce__(self):
        return type(self), (self.var_name,)


# --- compiling ----------------------------------------------------------------------------


class CompileError(LaharError, ValueError, AssertionError):
    """The network and its ProcessModels do not fit together."""


class NoProcessModelFound(CompileError, LookupError):
    """No ProcessModel of a Process can be used; the message lists the candidates."""


class PlacementError(LaharError, ValueError):
    """`partitions` or `placement` ask for something impossible."""


class UnpicklableError(LaharError, TypeError):
    """Something a Process holds cannot be sent to another OS process."""


class MissingFileError(LaharError, FileNotFoundError):
    """There is no file of that name."""


class FileFormatError(LaharError, ValueError, AssertionError):
    """A file is not of the kind that was expected."""


class DamagedFileError(FileFormatError, pickle.UnpicklingError):
    """A file that should hold a network holds something else, or only a part of it."""


class DownloadError(LaharError, ConnectionError):
    """A data set could not be downloaded."""


class MissingExtraError(LaharError, ImportError):
    """Something needs a package that `pip install lahar` leaves out.

    Parameters
    ----------
    what : str
        What needs it, as the subject of a sentence.
    package : str
        Name of the package.
    extra : str
        The extra of Lahar that installs it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        self.what, self.package, self.extra = what, package, extra
        super().__init__(f"{what} needs {package}: pip install 'lahar[{extra}]'.")

    def __reduce__(self):
        return type(self), (self.what, self.package, self.extra)


# --- running ------------------------------------------------------------------------------


class StateError(LaharError, RuntimeError):
    """The call is not possible in the present state of the runtime."""


class UnstartedError(StateError, ValueError):
    """A Var is set before there is a model that could hold the value."""


class ModelError(LaharError, RuntimeError):
    """A ProcessModel raised.

    Attributes
    ----------
    process : str
        Name of the Process.
    phase : str
        Phase in which it raised, or ``"build"``.
    time_step : int
        Time step, counted from 1.
    remote_traceback : str
        Traceback as printed where it happened.
    others : tuple of ModelError
        What other models raised before the network could be stopped; each is chained to its original
        exception.
    """

    def __init__(
        self,
        message: str,
        process: str = "",
        phase: str = "",
        time_step: int = 0,
        remote_traceback: str = "",
        others: tuple[ModelError, ...] = (),
    ) -> None:
        self.process, self.phase, self.time_step = process, phase, time_step
        self.remote_traceback = remote_traceback
        self.others = others
        super().__init__(message)

    def __reduce__(self):
        place = (self.process, self.phase, self.time_step)
        return type(self), (str(self), *place, self.remote_traceback, self.others)


class WorkerDiedError(LaharError, RuntimeError):
    """An OS process of the network ended while it was needed."""


class DeadlockError(LaharError, RuntimeError):
    """Every actor waits for a message and none can arrive."""


class LocalProtocolError(LaharError, RuntimeError):
    """The runtime itself broke its protocol; this is a bug in Lahar."""


class RemoteProtocolError(LaharError, RuntimeError):
    """A peer sent something that is not a valid message."""


class LaharWarning(UserWarning):
    """Base class of Lahar's warnings."""
