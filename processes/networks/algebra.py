"""What the operators between networks mean.

====================  =========================================================================
``x << n``            the output of n becomes an input of x; the value is x
``x << v``            the same between two vectors, through an identity matrix (one step of delay)
``x << a + b``        both become inputs of x and are added there
``W @ v``             the vector v becomes the input of the matrix W; the value is W
``W * U``             element-wise product of what two matrices send: a new `ProductVec`
``v * w``             element-wise product of two vectors, see `GradedVec`
``p << (a, b)``       a and b become the two inputs of a vector that has two
====================  =========================================================================

Python's precedence holds: ``@`` and ``*`` before ``+`` before ``<<``. Anything else is a TypeError. An
operator either makes all its connections or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentTypeError, DuplicateConnectionError, PortError, ShapeError, ValidationError

if TYPE_CHECKING:
    from ..ports import InPort, OutPort
    from .vectors import ProductVec


class Network:
    """Base of the containers; a subclass creates Processes and says which ports are its input and output.

    Attributes
    ----------
    in_port : InPort or None
        Where `<<` connects to.
    out_port : OutPort or None
        What `<<` and `@` connect from.
    main : AbstractProcess or Network or None
        What `run`, `wait`, `pause` and `stop` are called on. Any Process of the network will do.
    """

    in_port: InPort | None = None
    out_port: OutPort | None = None
    main: Any = None

    # With this, numpy leaves an operator between an array and a network to the network.
    __array_ufunc__ = None

    # --- running ----------------------------------------------------------------------------

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Run everything that is connected; arguments as for `AbstractProcess.run`."""
        self._runnable().run(*args, **kwargs)

    def wait(self) -> None:
        """Wait until a non-blocking run has ended."""
        self._runnable().wait()

    def pause(self) -> None:
        """Halt at the end of a time step."""
        self._runnable().pause()

    def stop(self, **kwargs: Any) -> None:
        """End the network; what was recorded stays readable."""
        self._runnable().stop(**kwargs)

    def _runnable(self) -> Any:
        if self.main is None:
            raise ValidationError("is None: set it to the Process that is to be run.", f"{_name(self)}.main")
        return self.main

    # --- operators --------------------------------------------------------------------------

    def __lshift__(self, other: Any) -> Any:
        sources = _summands(other)
        if sources is None:
            return NotImplemented
        connect(self, [(self._input("in_port"), sources)])
        return self

    def __add__(self, other: Any) -> Any:
        if isinstance(other, NetworkList):
            return NetworkList([*other, self])
        if isinstance(other, Network):
            return NetworkList([self, other])
        return NotImplemented

    def _input(self, attribute: str) -> InPort:
        port = getattr(self, attribute, None)
        if port is None:
            raise PortError(f"{_name(self)} takes no input (its {attribute} is None).")
        return port

    def _output(self) -> OutPort:
        if self.out_port is None:
            raise PortError(f"{_name(self)} has no output (its out_port is None).")
        return self.out_port


class NetworkList(list):
    """A sum of networks, waiting for the network that they become inputs of.

    Parameters
    ----------
    networks : iterable of Network
        Summands, in the order in which they are connected and added.

    Raises
    ------
    ArgumentTypeError
        Something is no Network.
    """

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        networks = list(networks)
        for network in networks:
            if not isinstance(network, Network):
                raise ArgumentTypeError(f"NetworkList holds networks, not {type(network).__name__}.")
        super().__init__(networks)

    def __add__(self, other: Any) -> Any:
        summands = _summands(other)
        return NotImplemented if summands is None else NetworkList([*self, *summands])

    # A sum that somebody holds is not changed by adding to it.
    __iadd__ = __add__  # type: ignore[assignment]


class AlgebraicVector(Network):
    """A network that sends a vector.

    Between two vectors ``x << v`` puts an identity `GradedSparse`, which delays by one time step.
    """


class TwoInputVector(AlgebraicVector):
    """A vector with a second input; ``p << (a, b)`` connects a to the first and b to the second, directly.

    a and b may be sums. ``p << a`` and ``p << a + b`` mean the first input only.

    Attributes
    ----------
    in_port, in_port2 : InPort
    """

    in_port2: InPort | None = None

    def __lshift__(self, other: Any) -> Any:
        if isinstance(other, NetworkList) or not isinstance(other, (tuple, list)):
            return super().__lshift__(other)
        pair = [_summands(member) for member in other]
        if len(pair) != 2 or None in pair:
            given = ", ".join(type(member).__name__ for member in other)
            raise ArgumentTypeError(
                f"{_name(self)} << ({given}): a pair of networks is needed, one for each input."
            )
        ports = (self._input("in_port"), self._input("in_port2"))
        connect(self, list(zip(ports, pair, strict=True)), direct=True)
        return self


class AlgebraicMatrix(Network):
    """A network that multiplies a vector by a matrix.

    Attributes
    ----------
    shape : tuple of int
        Shape of what it sends, (outputs,).
    """

    def __matmul__(self, other: Any) -> Any:
        if not isinstance(other, AlgebraicVector):
            return NotImplemented
        connect(self, [(self._input("in_port"), [other])])
        return self

    def __mul__(self, other: Any) -> ProductVec:
        if not isinstance(other, AlgebraicMatrix):
            return NotImplemented
        from .vectors import ProductVec

        product = ProductVec(shape=self._output().shape, vth=1, exp=0)
        product << (self, other)
        return product


def _summands(operand: Any) -> list[Network] | None:
    """Return the networks of an operand, None if it is neither a network nor a sum."""
    if isinstance(operand, NetworkList):
        return list(operand)
    return [operand] if isinstance(operand, Network) else None


def connect(target: Network, inputs: Sequence[tuple[InPort, list[Network]]], direct: bool = False) -> None:
    """Connect sources to ports of `target`, all or none.

    Parameters
    ----------
    target : Network
        Whose ports they are.
    inputs : sequence of (InPort, list of Network)
        Sources of each port, in the order in which they are added.
    direct : bool
        Put no identity between two vectors.

    Raises
    ------
    ShapeError
        A source sends another shape than the port takes.
    PortError
        A source has no output.
    DuplicateConnectionError
        A source is connected to the port already, or occurs twice in a sum.
    """
    direct = direct or not isinstance(target, AlgebraicVector)
    links = []
    for port, sources in inputs:
        for source in sources:
            output = source._output()
            indirect = not direct and isinstance(source, AlgebraicVector)
            if output.shape != port.shape:
                raise ShapeError(
                    f"{_name(target)} << {_name(source)}: shapes {port.shape} and {output.shape} are "
                    "incompatible."
                )
            if not indirect and (port in output.out_connections or (port, output, False) in links):
                raise DuplicateConnectionError(
                    f"{_name(target)} << {_name(source)}: it is an input already. A matrix can take part in a "
                    "sum once; make a second one with the same weights for a second vector."
                )
            links.append((port, output, indirect))
    for port, output, indirect in links:
        if indirect:
            _connect_through_identity(output, port)
        else:
            output.connect(port)


def _connect_through_identity(output: OutPort, port: InPort) -> None:
    from .matrices import identity

    matrix = identity(port.size)
    if len(port.shape) == 1:
        output.connect(matrix.in_port)
        matrix.out_port.connect(port)
    else:
        output.flatten().connect(matrix.in_port)
        matrix.out_port.reshape(port.shape).connect(port)


def _name(network: Network) -> str:
    """Class and, where there is one, the name of the Process inside, for messages."""
    process = getattr(network.main, "name", None)
    return f"{type(network).__name__}{f' ({process})' if process else ''}"
