"""Ports: how Processes are connected.

An OutPort sends messages to InPorts over channels; a RefPort reads and writes a Var of another
Process through a VarPort. Virtual ports (`reshape`, `flatten`, `transpose`) sit between two real ones
and say how the receiver turns the message.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .errors import (
    ArgumentTypeError,
    DuplicateConnectionError,
    PortError,
    ShapeError,
    ValidationError,
    VarNotSharableError,
)
from .var import Var, check_shape

if TYPE_CHECKING:
    from .process import AbstractProcess
    from .virtual_ports import AbstractVirtualPort, ConcatPort, ReshapePort, TransposePort

Transform = Callable[[Any], Any]


def create_port_id(proc_id: int, port_name: str) -> str:
    return f"{proc_id}_{port_name}"


def to_list(ports: Any) -> list[Any]:
    return ports if isinstance(ports, list) else [ports]


class AbstractPort:
    """Base of all ports.

    Attributes
    ----------
    shape : tuple of int
    name : str
        Attribute name in the owning Process.
    in_connections, out_connections : list of AbstractPort
        Neighbours, in the order in which they were connected.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        check_shape(shape, type(self).__name__)
        self.shape = shape
        self.name: str = "unnamed"
        self.process: AbstractProcess | None = None
        self.in_connections: list[AbstractPort] = []
        self.out_connections: list[AbstractPort] = []
        self.connection_configs: dict[AbstractPort, Any] = {}

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def path(self) -> str:
        """``process.port``, for messages."""
        return f"{self.process.name if self.process else '?'}.{self.name}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path} shape={self.shape}>"

    # --- connecting -------------------------------------------------------------------------

    def _check(self, ports: list[Any], kinds: tuple[type, ...], verb: str) -> None:
        """Refuse ports of the wrong kind or shape, and repeated connections, before anything changes."""
        if not ports:
            raise ArgumentTypeError(f"{self.path}.{verb}: an empty list of ports.")
        for port in ports:
            if not isinstance(port, kinds):
                expected = " or ".join(kind.__name__ for kind in kinds)
                what = port.path if isinstance(port, AbstractPort) else repr(port)
                raise PortError(
                    f"{type(self).__name__} '{self.path}'.{verb}() takes {expected}, not "
                    f"{type(port).__name__} '{what}'."
                )
            if not issubclass(type(port), type(ports[0])) and not issubclass(type(ports[0]), type(port)):
                raise PortError(f"'{self.path}'.{verb}(): all ports of one call must be of one kind.")
            if port.shape != self.shape:
                raise ShapeError(
                    f"Cannot connect '{self.path}' of shape {self.shape} with '{port.path}' of shape "
                    f"{port.shape}: shapes must be equal (reshape(), flatten() and transpose() convert)."
                )

    def _check_duplicates(self, ports: Sequence[AbstractPort], forward: bool) -> None:
        known = self.out_connections if forward else self.in_connections
        for k, port in enumerate(ports):
            reverse = port.in_connections if forward else port.out_connections
            if port in known or self in reverse or port in ports[:k]:
                raise DuplicateConnectionError(f"'{self.path}' and '{port.path}' are connected already.")
            source, target = (self, port) if forward else (port, self)
            if _leads_to(target, source):
                raise PortError(
                    f"'{source.path}' and '{target.path}' cannot be connected: the connections would lead from the "
                    "port back to itself. A loop has to pass through a Process, from an InPort to an OutPort."
                )

    @staticmethod
    def _configs(ports: Sequence[AbstractPort], configs: Any) -> list[Any]:
        if isinstance(configs, list):
            if len(configs) != len(ports):
                raise ArgumentTypeError(f"{len(configs)} connection_configs for {len(ports)} ports.")
            return configs
        return [configs] * len(ports)

    def _connect_forward(
        self,
        ports: list[AbstractPort],
        port_type: type,
        connection_configs: Any = None,
        assert_same_shape: bool = True,
        assert_same_type: bool = True,  # noqa: ARG002 - part of the extension interface
    ) -> None:
        """Attach `ports` behind this one (also how user-made virtual ports are attached)."""
        if assert_same_shape:
            self._check(ports, (port_type,), "connect")
        self._check_duplicates(ports, forward=True)
        for port, config in zip(ports, self._configs(ports, connection_configs), strict=True):
            self.out_connections.append(port)
            port.in_connections.append(self)
            self._store_config(port, config)

    def _connect_backward(self, ports: list[AbstractPort], connection_configs: Any = None) -> None:
        self._check_duplicates(ports, forward=False)
        for port, config in zip(ports, self._configs(ports, connection_configs), strict=True):
            self.in_connections.append(port)
            port.out_connections.append(self)
            self._store_config(port, config)

    def _store_config(self, port: AbstractPort, config: Any) -> None:
        if config is not None:
            self.connection_configs[port] = config
            port.connection_configs[self] = config

    # --- queries ------------------------------------------------------------------------------

    def forward_paths(self) -> Iterator[tuple[AbstractPort, list[AbstractVirtualPort]]]:
        """Yield every terminal port behind this one with the virtual ports passed on the way.

        Depth first in connection order; each path has its own list, so that several paths between the
        same two ports keep apart.
        """
        yield from _paths(self, "out_connections")

    def backward_paths(self) -> Iterator[tuple[AbstractPort, list[AbstractVirtualPort]]]:
        """Yield every terminal port before this one with the virtual ports passed on the way from there."""
        for port, virtual in _paths(self, "in_connections"):
            yield port, virtual[::-1]

    def get_dst_ports(self) -> list[AbstractPort]:
        return [port for port, _ in self.forward_paths()]

    def get_src_ports(self) -> list[AbstractPort]:
        return [port for port, _ in self.backward_paths()]

    def get_incoming_transform_funcs(self) -> dict[str, list[Transform]]:
        """Source port id -> functions, from the source to here."""
        result: dict[str, list[Transform]] = {}
        for port, virtual in self.backward_paths():
            if virtual:
                result[_port_id(port)] = [v.get_transform_func_fwd() for v in virtual]
        return result

    def get_outgoing_transform_funcs(self) -> dict[str, list[Transform]]:
        """Destination port id -> inverse functions, from the destination back to here."""
        return {
            _port_id(port): [v.get_transform_func_bwd() for v in reversed(virtual)]
            for port, virtual in self.forward_paths()
        }

    # --- virtual ports ------------------------------------------------------------------------

    def reshape(self, new_shape: tuple[int, ...]) -> ReshapePort:
        """Return a virtual port that shows this one with `new_shape` (C order).

        Raises
        ------
        ReshapeError
            The number of elements differs.
        """
        from .virtual_ports import ReshapePort

        return self._attach(ReshapePort(new_shape, self.shape))

    def flatten(self) -> ReshapePort:
        """Return a virtual port that shows this one as a vector."""
        return self.reshape((self.size,))

    def transpose(self, axes: Sequence[int] | None = None) -> TransposePort:
        """Return a virtual port that shows this one with permuted axes (None: reversed).

        Raises
        ------
        TransposeShapeError, TransposeIndexError
            `axes` is not a permutation of this port's axes.
        """
        from .virtual_ports import TransposePort

        return self._attach(TransposePort.of(self.shape, axes))

    def concat_with(self, ports: Any, axis: int) -> ConcatPort:
        """Return a virtual port that shows this one and `ports`, in this order, joined along `axis`.

        Parameters
        ----------
        ports : AbstractPort or list of AbstractPort
            Of the same kind, and of the same shape but for `axis`; virtual ports too.
        axis : int
            Negative axes count from the end.

        Raises
        ------
        PortError, ArgumentTypeError, DuplicateConnectionError, ConcatIndexError, ConcatShapeError
            The ports cannot be joined; nothing has been connected.
        """
        from .virtual_ports import ConcatPort

        others = to_list(ports)
        if not others:
            raise ArgumentTypeError(f"'{self.path}'.concat_with(): an empty list of ports.")
        virtual = ConcatPort([self, *others], axis)
        for port in (self, *others):
            port._attach(virtual)
        return virtual

    def _attach(self, virtual: Any) -> Any:
        self._connect_forward([virtual], AbstractPort, assert_same_shape=False)
        return virtual


class AbstractSrcPort:
    """Marker: a port at the beginning of a path."""


class AbstractDstPort:
    """Marker: a port at the end of a path."""


class AbstractIOPort(AbstractPort):
    """Base of InPort and OutPort."""

    external_pipe_flag = False
    external_pipe_buffer_size = 64
    external_pipe_csp_send_port: Any = None
    external_pipe_csp_recv_port: Any = None

    def flag_external_pipe(self, buffer_size: int | None = None) -> None:
        """Ask for a channel between this port and the program that runs the network.

        Once the runtime exists, the host's end is ``in_port.external_pipe_csp_send_port`` (`send`, `probe`) or
        ``out_port.external_pipe_csp_recv_port`` (`recv`, `peek`, `probe`), to be used from any thread. For the
        model it is one more connection, the last one.

        Parameters
        ----------
        buffer_size : int, optional
            Number of messages that the pipe holds; 64 if not given.

        Raises
        ------
        ValidationError
            `buffer_size` is no positive integer.
        """
        if buffer_size is not None:
            if isinstance(buffer_size, bool) or not hasattr(buffer_size, "__index__") or buffer_size < 1:
                raise ValidationError(
                    f"a positive integer expected, not {buffer_size!r}.", f"{self.path}.flag_external_pipe"
                )
            self.external_pipe_buffer_size = int(buffer_size)
        self.external_pipe_flag = True


class AbstractRVPort(AbstractPort):
    """Base of RefPort and VarPort: each reaches one Var, also over virtual ports."""

    def _check_single(self, ports: Sequence[Any]) -> None:
        if len(ports) > 1 or self.get_dst_ports():
            raise PortError(f"{type(self).__name__} '{self.path}' can be connected to one Var only.")


class OutPort(AbstractIOPort, AbstractSrcPort):
    """Sends one message per `send` of its model to every connected InPort.

    Parameters
    ----------
    shape : tuple of int
        Shape of the messages.

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers.

    Examples
    --------
    >>> from lahar.processes import LIF, Dense
    >>> neurons, synapses, more = LIF(shape=(2, 3)), Dense(weights=[[1] * 6]), LIF(shape=(3, 2))
    >>> neurons.s_out.flatten().connect(synapses.s_in)  # one source, two destinations
    >>> neurons.s_out.transpose().connect(more.a_in)
    >>> [port.path for port in neurons.s_out.get_dst_ports()] == [synapses.s_in.path, more.a_in.path]
    True
    """

    def connect(self, ports: Any, connection_configs: Any = None) -> None:
        """Connect to one or a list of InPorts, or up to an OutPort of the parent Process."""
        ports = to_list(ports)
        self._check(ports, (InPort, OutPort), "connect")
        self._connect_forward(ports, AbstractIOPort, connection_configs, assert_same_shape=False)

    def connect_from(self, ports: Any, connection_configs: Any = None) -> None:
        """Connect from an OutPort of a sub process."""
        ports = to_list(ports)
        self._check(ports, (OutPort,), "connect_from")
        self._connect_backward(ports, connection_configs)


class InPort(AbstractIOPort, AbstractDstPort):
    """Receives; messages of several sources are summed in the order in which they were connected.

    Parameters
    ----------
    shape : tuple of int
        Shape of the messages.
    reduce_op : type, optional
        Kept for the reader; messages are always summed.

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers.

    Examples
    --------
    >>> from lahar.processes import Receiver, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> one, other, receiver = SourceRingBuffer(data=[[1]]), SourceRingBuffer(data=[[20]]), Receiver()
    >>> receiver.a_in.connect_from([one.s_out, other.s_out])
    >>> with receiver:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     receiver.run(condition=RunSteps(num_steps=1), run_cfg=run_cfg)
    ...     print(receiver.payload.get())
    [21]
    """

    def __init__(self, shape: tuple[int, ...], reduce_op: type | None = None) -> None:
        super().__init__(shape)
        self._reduce_op = reduce_op

    def connect(self, ports: Any, connection_configs: Any = None) -> None:
        """Connect down to InPorts of sub processes."""
        ports = to_list(ports)
        self._check(ports, (InPort,), "connect")
        self._connect_forward(ports, AbstractIOPort, connection_configs, assert_same_shape=False)

    def connect_from(self, ports: Any, connection_configs: Any = None) -> None:
        """Connect from one or a list of OutPorts, or from an InPort of the parent Process."""
        ports = to_list(ports)
        self._check(ports, (InPort, OutPort), "connect_from")
        self._connect_backward(ports, connection_configs)


class RefPort(AbstractRVPort, AbstractSrcPort):
    """Reads and writes one Var of another Process in the management phases.

    Parameters
    ----------
    shape : tuple of int
        Shape of the Var.

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers.

    Examples
    --------
    >>> from lahar.processes import LIF, AbstractProcess, RefPort
    >>> class Observer(AbstractProcess):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.state = RefPort(shape=(2,))
    >>> lif, observer = LIF(shape=(2,), name="lif"), Observer()
    >>> observer.state.connect_var(lif.v)
    >>> print(observer.state.get_dst_vars()[0].path)
    lif.v
    """

    def connect(self, ports: Any, connection_configs: Any = None) -> None:
        """Connect to one VarPort, or to a RefPort of a parent Process."""
        ports = to_list(ports)
        self._check(ports, (RefPort, VarPort), "connect")
        self._check_single(ports)
        self._connect_forward(ports, AbstractRVPort, connection_configs, assert_same_shape=False)

    def connect_from(self, ports: Any, connection_configs: Any = None) -> None:
        """Connect from a RefPort of a sub process."""
        ports = to_list(ports)
        self._check(ports, (RefPort,), "connect_from")
        for port in ports:
            port._check_single([self])
        self._connect_backward(ports, connection_configs)

    def connect_var(self, variables: Any, connection_configs: Any = None) -> None:
        """Connect to a Var of another Process through an implicit VarPort.

        Raises
        ------
        ArgumentTypeError, ShapeError, VarNotSharableError
            `variables` is not one Var of another Process, has another shape, or is not shareable.
        """
        variables = to_list(variables)
        if len(variables) != 1 or not isinstance(variables[0], Var):
            raise ArgumentTypeError(f"'{self.path}'.connect_var() takes exactly one Var, not {variables!r}.")
        var = variables[0]
        if self.process is not None and var.process is self.process:
            raise ArgumentTypeError(f"'{self.path}'.connect_var(): '{var.path}' belongs to the same Process.")
        if var.shape != self.shape:
            raise ShapeError(
                f"Cannot connect '{self.path}' of shape {self.shape} with Var '{var.path}' of shape {var.shape}."
            )
        self._check_single([var])
        self._configs([var], connection_configs)  # refused before the port is made
        self.connect(self.create_implicit_var_port(var), connection_configs)

    @staticmethod
    def create_implicit_var_port(var: Var) -> ImplicitVarPort:
        """Make a VarPort for `var` and add it to the Process that owns the Var."""
        port = ImplicitVarPort(var)
        name = base = f"_{var.name}_implicit_port"
        process = var.process
        if process is not None:
            k = 0
            while hasattr(process, name):
                k += 1
                name = f"{base}_{k}"
            setattr(process, name, port)
            process.var_ports.add_members({name: port})
        port.name = name
        port.process = process
        return port

    def get_dst_vars(self) -> list[Var]:
        """Vars at the other end."""
        return [port.var for port in self.get_dst_ports() if isinstance(port, VarPort)]


class VarPort(AbstractRVPort, AbstractDstPort):
    """Gives RefPorts of other Processes access to a Var of this one.

    Parameters
    ----------
    var : Var
        A shareable Var; the port takes its shape.

    Examples
    --------
    >>> from lahar.processes import AbstractProcess, RefPort, Var, VarPort
    >>> class Store(AbstractProcess):
    ...     def __init__(self):
    ...         super().__init__(name="store")
    ...         self.value = Var(shape=(3,))
    ...         self.access = VarPort(self.value)
    >>> class User(AbstractProcess):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.there = RefPort(shape=(3,))
    >>> store, user = Store(), User()
    >>> user.there.connect(store.access)
    >>> print(user.there.get_dst_vars()[0].path)
    store.value
    """

    def __init__(self, var: Var) -> None:
        if not isinstance(var, Var):
            raise ArgumentTypeError(f"VarPort takes a Var, not {type(var).__name__}.")
        if not var.shareable:
            raise VarNotSharableError(var.name)
        super().__init__(var.shape)
        self.var = var

    def connect(self, ports: Any, connection_configs: Any = None) -> None:
        """Connect down to a VarPort of a sub process."""
        ports = to_list(ports)
        self._check(ports, (VarPort,), "connect")
        self._check_single(ports)
        self._connect_forward(ports, AbstractRVPort, connection_configs, assert_same_shape=False)

    def connect_from(self, ports: Any, connection_configs: Any = None) -> None:
        """Connect from a RefPort, or from a VarPort of the parent Process."""
        ports = to_list(ports)
        self._check(ports, (RefPort, VarPort), "connect_from")
        for port in ports:
            port._check_single([self])
        self._connect_backward(ports, connection_configs)


class ImplicitVarPort(VarPort):
    """VarPort that `RefPort.connect_var` makes."""


def _port_id(port: AbstractPort) -> str:
    return create_port_id(port.process.id if port.process else -1, port.name)


def _leads_to(port: AbstractPort, target: AbstractPort) -> bool:
    """Whether connections lead from `port` to `target`, which may be the same."""
    ahead = [port]
    while ahead:
        current = ahead.pop()
        if current is target:
            return True
        ahead += current.out_connections
    return False


def _paths(port: AbstractPort, direction: str) -> Iterator[tuple[AbstractPort, list[Any]]]:
    from .virtual_ports import AbstractVirtualPort

    def next_to(port: AbstractPort) -> list[AbstractPort]:
        """Neighbours, without virtual ports that lead nowhere."""
        return [n for n in getattr(port, direction) if not isinstance(n, AbstractVirtualPort) or next_to(n)]

    forward = direction == "out_connections"
    stack: list[tuple[AbstractPort, AbstractPort, list[Any]]] = []
    stack += [(port, n, []) for n in reversed(next_to(port))]
    while stack:
        before, current, virtual = stack.pop()
        further = next_to(current)
        if not further:
            yield current, virtual
        for neighbour in reversed(further):
            passed = virtual
            if isinstance(current, AbstractVirtualPort):
                passed = [*virtual, current.seen_from(before if forward else neighbour)]
            stack.append((current, neighbour, passed))
