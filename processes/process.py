"""Processes: what a user declares and connects."""

from __future__ import annotations

import difflib
import inspect
import itertools
import logging
import weakref
from abc import ABCMeta
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ArgumentTypeError, MemberError, StateError, ValidationError
from .ports import InPort, OutPort, RefPort, VarPort
from .var import Var

if TYPE_CHECKING:
    from lahar.compiler import Plan
    from lahar.runtime import Runtime


@dataclass
class LogConfig:
    """Where and how much a Process and its runtime log.

    Parameters
    ----------
    file : str
        Log file, used when `logs_to_file` is set.
    level, level_console : int
        Levels of the standard `logging` module.
    logs_to_file : bool
        Also write records to `file`.
    format, date_format : str
        As for `logging.Formatter`.

    Raises
    ------
    ValidationError
        If `logs_to_file` is set without a `file`.

    Examples
    --------
    >>> import logging
    >>> from lahar.processes import LIF, LogConfig
    >>> config = LogConfig(level_console=logging.CRITICAL)
    >>> lif = LIF(shape=(1,), log_config=config)
    >>> print(config.level_console, config.logs_to_file)
    50 False
    """

    file: str = ""
    level: int = logging.WARNING
    level_console: int = logging.ERROR
    logs_to_file: bool = False
    format: str = "%(asctime)s:%(levelname)s: %(name)s - %(message)s"
    date_format: str = "%m/%d/%Y %I:%M:%S%p"

    def __post_init__(self) -> None:
        if self.logs_to_file and not self.file:
            raise ValidationError("logs_to_file=True needs the name of a file.", "LogConfig.file")


class ProcessParameters:
    """The keyword arguments of a Process, handed to its ProcessModel.

    Reading works as with a dict; assigning to an existing key is refused, so that a library class
    cannot silently shadow an argument of the user (`overwrite` says it is meant).
    """

    def __init__(self, initial_parameters: dict[str, Any]) -> None:
        self._parameters = initial_parameters

    def __getitem__(self, key: str) -> Any:
        return self._parameters[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self._parameters:
            raise KeyError(f"Process parameter '{key}' exists already; use overwrite('{key}', value).")
        self._parameters[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self._parameters

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return f"ProcessParameters({self._parameters!r})"

    def keys(self) -> Iterable[str]:
        return self._parameters.keys()

    def overwrite(self, key: str, value: Any) -> None:
        self._parameters[key] = value

    def get(self, key: str, default: Any = None) -> Any:
        return self._parameters.get(key, default)


class Collection:
    """Ports, Vars or sub processes of a Process, by name and in alphabetical order."""

    def __init__(self, process: AbstractProcess, name: str) -> None:
        self.process = process
        self.name = name
        self._members: dict[str, Any] = {}

    def add_members(self, members: dict[str, Any]) -> None:
        self._members.update(members)

    def remove_members(self, members: dict[str, Any]) -> None:
        for name, member in members.items():
            if self._members.get(name) is member:
                del self._members[name]

    @property
    def members(self) -> list[Any]:
        return list(self._members.values())

    @property
    def member_names(self) -> list[str]:
        return list(self._members)

    def is_empty(self) -> bool:
        return not self._members

    def has(self, member: Any) -> bool:
        if not hasattr(member, "name"):
            raise ArgumentTypeError(
                f"{self.name}.has() takes a port, Var or Process, not {type(member).__name__}."
            )
        return member.name in self._members

    def __getattr__(self, name: str) -> Any:
        members = self.__dict__.get("_members", {})
        if name in members:
            return members[name]
        if name.startswith("_"):
            raise AttributeError(name)
        near = difflib.get_close_matches(name, members, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else f" It has: {', '.join(members) or 'none'}."
        raise MemberError(f"Process '{self.process.name}' has no member '{name}' in {self.name}.{hint}")

    def __getitem__(self, index: int | str) -> Any:
        return self._members[index] if isinstance(index, str) else self.members[index]

    def __contains__(self, member: object) -> bool:
        if isinstance(member, str):
            return member in self._members
        return any(member is m for m in self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.members)

    def __repr__(self) -> str:
        return f"<{self.name} of {self.process.name}: {', '.join(self._members)}>"


class ProcessServer:
    """Counts Processes and knows those that are alive (singleton; it keeps none of them alive)."""

    _instance: ProcessServer | None = None

    def __new__(cls) -> ProcessServer:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
            cls._instance.reset_server()
        return cls._instance

    def reset_server(self) -> None:
        self._counter = itertools.count()
        self._next_id = 0
        self._alive: weakref.WeakValueDictionary[int, AbstractProcess] = weakref.WeakValueDictionary()

    def register(self, process: AbstractProcess) -> int:
        if not isinstance(process, AbstractProcess):
            raise ArgumentTypeError(f"Only a Process can be registered, not {type(process).__name__}.")
        number = self._next_id
        self._next_id += 1
        self._alive[number] = process
        return number

    def adopt(self, processes: list[AbstractProcess]) -> dict[int, int]:
        """Register Processes that come from another program, in the order of their ids.

        They keep their ids if none of these is in use, else all get new ones.

        Returns
        -------
        dict of int to int
            Old id -> new id.
        """
        processes = sorted(processes, key=lambda process: process.id)
        old = [process.id for process in processes]
        if any(number in self._alive for number in old):
            for process in processes:
                process.id = self.register(process)
        else:
            self._alive.update(zip(old, processes, strict=True))
            self._next_id = max([self._next_id, *(number + 1 for number in old)])
        return {number: process.id for number, process in zip(old, processes, strict=True)}

    @property
    def processes(self) -> list[AbstractProcess]:
        return [self._alive[i] for i in sorted(self._alive.keys())]

    @property
    def num_processes(self) -> int:
        return len(self._alive)


class ProcessPostInitCaller(ABCMeta):
    """Registers ports and Vars once the most derived constructor has returned."""

    @property
    def __signature__(cls) -> inspect.Signature:
        """What the constructor takes, for `help` and editors; they would show the arguments of `__call__`."""
        signature = inspect.signature(cls.__init__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        process = super().__call__(*args, **kwargs)
        process._post_init()
        return process


class AbstractProcess(metaclass=ProcessPostInitCaller):
    """Base class of all Processes: state (`Var`) and an interface (ports), no behaviour.

    Behaviour comes from a ProcessModel that `implements` the Process and is chosen by the run
    configuration. Subclasses create their Vars and ports as attributes in ``__init__``.

    Parameters
    ----------
    name : str, optional
        Name used in messages, plans and monitors; ``"Process_<id>"`` if not given.
    log_config : LogConfig, optional
        Logging of this Process and of a runtime started from it.
    **proc_params
        Anything else; handed to the ProcessModel as ``proc_params``.

    Attributes
    ----------
    id : int
        Number of the Process in this program, from 0.
    in_ports, out_ports, ref_ports, var_ports, vars, procs : Collection
        Members by attribute name, in alphabetical order.

    Examples
    --------
    A Process with a model of its own:

    >>> import numpy as np
    >>> from lahar.processes import AbstractProcess, OutPort, SinkRingBuffer, Var
    >>> from lahar.processes.model import (
    ...     CPU, LavaPyType, LoihiProtocol, PyLoihiProcessModel, PyOutPort, implements, requires
    ... )
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> class Counter(AbstractProcess):
    ...     def __init__(self, *, shape):
    ...         super().__init__(shape=shape)
    ...         self.count = Var(shape=shape, init=0)
    ...         self.s_out = OutPort(shape=shape)
    >>> @implements(proc=Counter, protocol=LoihiProtocol)
    ... @requires(CPU)
    ... class CounterModel(PyLoihiProcessModel):
    ...     count: np.ndarray = LavaPyType(np.ndarray, np.int64)
    ...     s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    ...
    ...     def run_spk(self):
    ...         self.count += 1
    ...         self.s_out.send(self.count)
    >>> counter, sink = Counter(shape=(1,)), SinkRingBuffer(shape=(1,), buffer=3)
    >>> counter.s_out.connect(sink.a_in)
    >>> with counter:
    ...     counter.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(counter.count.get(), sink.data.get())
    [3] [[1. 2. 3.]]
    """

    def __init__(self, **proc_params: Any) -> None:
        name = proc_params.get("name")
        if name is not None and not isinstance(name, str):
            raise ArgumentTypeError(f"{type(self).__name__}: name must be a string, not {name!r}.")
        self.proc_params = ProcessParameters(proc_params)
        self.id: int = ProcessServer().register(self)
        self.name: str = name or f"Process_{self.id}"
        self.log = logging.getLogger("lahar.processes")
        self._log_config: LogConfig = proc_params.get("log_config") or LogConfig(file="lahar.log")
        if self._log_config.logs_to_file:
            _log_to_file(self._log_config)
        self.in_ports = Collection(self, "in_ports")
        self.out_ports = Collection(self, "out_ports")
        self.ref_ports = Collection(self, "ref_ports")
        self.var_ports = Collection(self, "var_ports")
        self.vars = Collection(self, "vars")
        self.procs = Collection(self, "procs")
        self.parent_proc: AbstractProcess | None = None
        self._runtime: Runtime | None = None
        self._model_class: type | None = None
        self._is_compiled = False
        # sub processes made by the compiler, and whether they must be made anew
        self._expansion: Any = None
        self._expansion_stale = False
        self.model: Any = None
        self.folded_view: type | None = None
        self.folded_view_inst_id = -1

    # --- registration of members ----------------------------------------------------------

    def _post_init(self) -> None:
        if not hasattr(self, "proc_params"):
            raise ValidationError("__init__ must call super().__init__(**kwargs).", type(self).__name__)
        for kind, collection in (
            (OutPort, self.out_ports),
            (InPort, self.in_ports),
            (RefPort, self.ref_ports),
            (VarPort, self.var_ports),
            (Var, self.vars),
            (AbstractProcess, self.procs),
        ):
            members = self._find_attr_by_type(kind)
            self._init_proc_member_obj(members)
            collection.add_members(members)

    def _find_attr_by_type(self, kind: type) -> dict[str, Any]:
        return {
            name: value
            for name, value in attributes(self)
            if isinstance(value, kind) and name not in ("process", "parent_proc")
        }

    def _init_proc_member_obj(self, members: dict[str, Any]) -> None:
        for name, member in members.items():
            member.name = name
            member.process = self

    def register_sub_procs(self, procs: dict[str, AbstractProcess]) -> None:
        """Declare `procs` (name -> Process) as sub processes of this one."""
        for name, process in procs.items():
            if not isinstance(process, AbstractProcess):
                raise ArgumentTypeError(
                    f"Sub process '{name}' of '{self.name}' is a {type(process).__name__}."
                )
            process.parent_proc = self
        self.procs.add_members(procs)

    def is_sub_proc_of(self, process: AbstractProcess) -> bool:
        """Whether `process` is a (transitive) parent."""
        parent = self.parent_proc
        while parent is not None and parent is not process:
            parent = parent.parent_proc
        return parent is process

    def validate_var_aliases(self) -> None:
        for var in self.vars:
            var.validate_alias()

    def propagate_folded_views(self) -> None:
        for process in self.procs:
            process.folded_view = self.folded_view
            process.folded_view_inst_id = self.folded_view_inst_id
            process.propagate_folded_views()

    # --- running --------------------------------------------------------------------------

    @property
    def runtime(self) -> Runtime | None:
        return self._runtime

    @runtime.setter
    def runtime(self, runtime: Runtime | None) -> None:
        self._runtime = runtime

    @property
    def model_class(self) -> type | None:
        """ProcessModel class chosen at the last compilation."""
        return self._model_class

    @property
    def is_compiled(self) -> bool:
        return self._is_compiled

    def compile(self, run_cfg: Any, compile_config: dict[str, Any] | None = None) -> Plan:
        """Compile the whole network connected to this Process.

        Returns
        -------
        Plan
            Plain data: which Process runs where, and every channel.
        """
        from lahar.runtime import compile_network

        return compile_network(self, run_cfg, compile_config)

    def create_runtime(
        self,
        run_cfg: Any = None,
        executable: Plan | None = None,
        compile_config: dict[str, Any] | None = None,
    ) -> None:
        """Compile (unless an `executable` is given), start the workers and build all models."""
        from lahar.runtime import start_network

        start_network(self, run_cfg, executable, compile_config)

    def run(self, condition: Any, run_cfg: Any = None, compile_config: dict[str, Any] | None = None) -> None:
        """Run the network connected to this Process.

        Parameters
        ----------
        condition : RunSteps or RunContinuous
            How long.
        run_cfg : RunConfig
            Needed on the first call; ignored while a runtime exists.
        compile_config : dict, optional
            Options of the compiler, such as ``{"pypy_channel_size": 64}``.

        Raises
        ------
        ValidationError
            No `run_cfg` was given and the network has no runtime yet.
        StateError
            The network was stopped, or is running.
        ModelError, WorkerDiedError, DeadlockError
            The run failed.
        """
        if self._runtime is None:
            if run_cfg is None:
                raise ValidationError(
                    f"Process '{self.name}' runs for the first time: pass run_cfg, for example "
                    "run_cfg=Loihi2SimCfg().",
                    "run_cfg",
                )
            self.create_runtime(run_cfg=run_cfg, compile_config=compile_config)
        elif self._runtime.is_closed:
            raise StateError(
                f"The network of process '{self.name}' {self._runtime.closed_because}. Its Vars and monitors "
                "remain readable. To run it again from the initial values, call "
                "create_runtime(run_cfg=...) and then run()."
            )
        assert self._runtime is not None
        self._runtime.start(condition)

    def wait(self) -> None:
        """Wait until a non-blocking run has ended."""
        if self._runtime is not None:
            self._runtime.wait()

    def pause(self) -> None:
        """Halt the network at the end of a time step that is the same for every Process."""
        if self._runtime is not None:
            self._runtime.pause()

    def stop(self) -> None:
        """End the network; Vars and recorded data stay readable."""
        if self._runtime is not None:
            self._runtime.stop()

    def save(self, path: str) -> None:
        """Not offered; `lahar.runtime.serialization` saves networks."""
        raise NotImplementedError(
            f"Save '{self.name}' with lahar.runtime.serialization.save(process, {path!r})."
        )

    def load(self, path: str) -> None:
        """Not offered; `lahar.runtime.serialization` loads networks."""
        raise NotImplementedError(f"Load a network with lahar.runtime.serialization.load({path!r}).")

    def __enter__(self) -> AbstractProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.name}'>"


def attributes(owner: Any) -> list[tuple[str, Any]]:
    """Return the attributes of an object and its classes in alphabetical order, evaluating no property."""
    found: dict[str, Any] = {}
    for cls in reversed(type(owner).__mro__):
        found.update(vars(cls))
    found.update(vars(owner))
    return sorted(found.items())


def _log_to_file(config: LogConfig) -> None:
    """Add one file handler per file to the library's logger."""
    logger = logging.getLogger("lahar")
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler) and handler.name == config.file:
            return
    handler = logging.FileHandler(config.file)
    handler.name = config.file
    handler.setLevel(config.level)
    handler.setFormatter(logging.Formatter(config.format, config.date_format))
    logger.addHandler(handler)
