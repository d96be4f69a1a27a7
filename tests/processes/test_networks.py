"""Vector networks: what the operators connect, what they refuse, and what the containers hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from lahar import compiler
from lahar.processes import LIF, Dense, ProdNeuron, RFZero, SignMode, SinkRingBuffer, SourceRingBuffer, Sparse
from lahar.processes import GradedVec as GradedVecProcess
from lahar.processes.errors import (
    ArgumentTypeError,
    CompileError,
    DtypeError,
    DuplicateConnectionError,
    LaharWarning,
    PortError,
    ShapeError,
    ValidationError,
)
from lahar.processes.networks import (
    AlgebraicMatrix,
    AlgebraicVector,
    GradedDense,
    GradedSparse,
    GradedVec,
    InputVec,
    LIFVec,
    Network,
    NetworkList,
    NormalizeNet,
    OutputVec,
    ProductVec,
    ResFireVec,
)
from lahar.runtime import Loihi2SimCfg, RunSteps

CONFIG = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")


def vector(size=3, vth=0, **kwargs):
    return GradedVec(shape=(size,), vth=vth, **kwargs)


def matrix(rows=3, columns=3, factor=1.0):
    return GradedDense(weights=factor * np.eye(rows, columns))


def sent(network, steps):
    """Run what is connected to a network; return what it sends, time first."""
    out = OutputVec(shape=network.out_port.shape, buffer=steps)
    network.out_port.connect(out.in_port)
    out.run(condition=RunSteps(steps), run_cfg=CONFIG)
    out.stop()
    return np.moveaxis(out.get_data(), -1, 0).tolist()


def pulse(*values, steps=1):
    """An InputVec that sends `values` in the first step only."""
    data = np.zeros((len(values), steps + 9))
    data[:, :steps] = np.array(values)[:, None]
    return InputVec(data)


# --- operators --------------------------------------------------------------------------------


def test_a_matrix_times_a_vector_arrives_one_step_later():
    weights = GradedDense(weights=[[0.5, 1], [-0.25, 0]])
    vec = vector(2)
    assert (vec << weights @ pulse(8, 4)) is vec
    assert sent(vec, 3) == [[0, 0], [8, -2], [0, 0]]


def test_vectors_are_joined_by_an_identity_and_delayed():
    first, second = vector(2), vector(2)
    assert (second << first) is second
    first << GradedSparse(weights=np.eye(2)) @ pulse(8, 4)
    (link,) = {p for port in first.out_port.out_connections for p in [port.process]}
    assert isinstance(link, Sparse)
    assert link.weights.init.toarray().tolist() == [[128, 0], [0, 128]]
    assert sent(second, 4) == [[0, 0], [0, 0], [8, 4], [0, 0]]


def test_other_networks_are_connected_directly():
    vec, out, weights = vector(2), OutputVec(shape=(2,)), matrix(2, 2)
    vec << weights
    out << vec
    assert weights.out_port.out_connections == [vec.in_port]
    assert vec.out_port.out_connections == [out.in_port]


def test_vectors_with_several_axes_can_be_joined():
    first, second = GradedVec(shape=(2, 2), vth=0), GradedVec(shape=(2, 2), vth=0)
    second << first
    source = SourceRingBuffer(data=np.arange(1, 5).reshape(2, 2, 1) * [1, 0, 0, 0])
    source.s_out.connect(first.in_port)
    assert sent(second, 3) == [[[0, 0], [0, 0]], [[1, 2], [3, 4]], [[0, 0], [0, 0]]]


def test_summands_add_up():
    a, b, out = vector(), vector(), vector()
    a << matrix() @ pulse(1, 2, 3)
    b << matrix() @ pulse(10, 20, 30)
    out << a + b + matrix(factor=0.5) @ a
    np.testing.assert_array_equal(sent(out, 4), [[0] * 3, [0] * 3, [11, 23, 34], [0] * 3])


def test_a_vector_may_be_added_to_itself():
    a, out = vector(), vector()
    a << matrix() @ pulse(1, 2, 3)
    out << a + a
    np.testing.assert_array_equal(sent(out, 3)[2], [2, 4, 6])


def test_sums_keep_their_order_and_are_not_changed():
    a, b, c, d = (vector() for _ in range(4))
    ab = a + b
    assert type(ab) is NetworkList
    assert isinstance(ab, list)
    for total, expected in (
        (ab + c, [a, b, c]),
        (c + ab, [a, b, c]),
        (ab + (c + d), [a, b, c, d]),
        (NetworkList([d]) + ab, [d, a, b]),
    ):
        assert type(total) is NetworkList
        assert list(total) == expected
    more = ab
    more += c
    assert (list(more), list(ab)) == ([a, b, c], [a, b])
    assert list(NetworkList(x for x in (a, b))) == [a, b]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15)
def test_any_sum_of_products_is_what_numpy_says(sizes, seed):
    rng = np.random.default_rng(seed)
    out, expected, summands = vector(2), 0, []
    for size in sizes:
        weights, values = rng.integers(-2, 2, (2, size)), rng.integers(-9, 9, size) * 2
        summands.append(GradedDense(weights=weights / 2) @ pulse(*values))
        expected = expected + np.floor(weights / 2 @ values)
    out << (NetworkList(summands) if len(summands) == 1 else sum(summands[1:], NetworkList(summands[:1])))
    np.testing.assert_array_equal(sent(out, 2)[1], expected)


def test_a_pair_feeds_both_inputs():
    product = ProductVec(shape=(2,), vth=0)
    assert (product << (matrix(2, 2) @ pulse(3, -4), matrix(2, 2) @ pulse(5, 6))) is product
    assert sent(product, 3) == [[0, 0], [15, -24], [0, 0]]


def test_members_of_a_pair_may_be_sums_and_vectors_come_in_directly():
    product = ProductVec(shape=(2,), vth=0, exp=1)
    a, b = pulse(3, 4), pulse(1, 1)
    product << [a + b, b]
    assert {p.process for p in b.out_port.out_connections} == {product.main}
    assert sent(product, 1) == [[2, 2]]


def test_a_sum_means_the_first_input_of_a_vector_that_has_two():
    resonator = ResFireVec(shape=(2,), freqs=[1, 1], decay_tau=[9, 9])
    assert (resonator << matrix(2, 2) @ pulse(3, 4) + matrix(2, 2) @ pulse(1, 1)) is resonator
    assert len(resonator.in_port.in_connections) == 2
    assert not resonator.in_port2.in_connections
    product = ProductVec(shape=(2,))
    product << matrix(2, 2)
    assert (len(product.in_port.in_connections), len(product.in_port2.in_connections)) == (1, 0)


def test_graded_vectors_are_multiplied():
    a, b, out = vector(2, exp=2), vector(2), vector(2)
    a << matrix(2, 2) @ pulse(3, -4)
    b << matrix(2, 2) @ pulse(8, 8)
    product = a * b
    assert isinstance(product, GradedSparse)
    out << product
    assert sent(out, 5) == [[0, 0], [0, 0], [0, 0], [6, -8], [0, 0]]


def test_matrices_are_multiplied_element_by_element():
    product = matrix(2, 3, 0.5) @ pulse(4, 6, 8)
    product = product * (matrix(2, 2, 1.0) @ pulse(5, 7))
    assert isinstance(product, ProductVec)
    assert (product.shape, product.vth, product.exp) == ((2,), 1, 0)
    assert sent(product, 3) == [[0, 0], [10, 21], [0, 0]]


def test_a_shift_register():
    """A network of one's own whose `main` is a network."""

    class Register(AlgebraicVector):
        def __init__(self, size):
            self.shape = (size,)
            self.main = GradedVec(shape=self.shape, vth=1)
            self.weights = GradedSparse(weights=np.roll(np.eye(size), 1, axis=0))
            self.main << self.weights @ self.main
            self.in_port, self.out_port = self.main.in_port, self.main.out_port

    register = Register(3)
    register << matrix(3, 3) @ pulse(5, 0, 0)
    out = OutputVec(shape=(3,), buffer=5)
    out << register
    register.run(condition=RunSteps(num_steps=5), run_cfg=CONFIG)
    register.stop()
    assert out.get_data().T.tolist() == [[0, 0, 0], [5, 0, 0], [0, 5, 0], [0, 0, 5], [5, 0, 0]]


# --- refusals -----------------------------------------------------------------------------------


def connections(*networks):
    return [len(port.in_connections) + len(port.out_connections) for n in networks for port in _ports(n)]


def _ports(network):
    ports = (network.in_port, network.out_port, getattr(network, "in_port2", None))
    return [port for port in ports if port is not None]


A, B = "GradedVec", "GradedDense"


@pytest.mark.parametrize(
    ("operate", "left", "right"),
    [
        (lambda: vector() << 3, A, "int"),
        (lambda: vector() << (matrix(), matrix()), A, "tuple"),
        (lambda: vector() << [matrix()], A, "list"),
        (lambda: vector() + 3, A, "int"),
        (lambda: (vector() + vector()) + 3, "NetworkList", "int"),
        (lambda: vector() * 3, A, "int"),
        (lambda: 3 * vector(), "int", A),
        (lambda: vector() * matrix(), A, B),
        (lambda: matrix() * vector(), B, A),
        (lambda: matrix() @ matrix(), B, B),
        (lambda: matrix() @ (vector() + vector()), B, "NetworkList"),
        (lambda: np.eye(3) @ vector(), "numpy.ndarray", A),
        (lambda: ResFireVec() << "x", "ResFireVec", "str"),
    ],
    ids=range(13),
)
def test_other_operands_are_type_errors_that_name_both(operate, left, right):
    with pytest.raises(TypeError, match=rf"'({left})' and '({right})'"):
        operate()


@pytest.mark.parametrize(
    "operate", [lambda: matrix() @ np.ones(3), lambda: vector() << np.ones(3), lambda: np.ones(3) + vector()]
)
def test_arrays_must_be_wrapped(operate):
    with pytest.raises(TypeError):
        operate()


@pytest.mark.parametrize(
    "pair", [(), (matrix(),), (matrix(), matrix(), matrix()), (matrix(), 3), [None, matrix()]], ids=range(5)
)
def test_a_pair_must_be_two_networks(pair):
    product = ProductVec(shape=(3,))
    with pytest.raises(ArgumentTypeError, match=r"ProductVec .* << \(.*\): a pair of networks is needed"):
        product << pair
    assert connections(product) == [0, 0, 0]


def test_shapes_must_agree_and_nothing_is_connected_if_one_does_not():
    vec, good, bad = vector(3), matrix(3, 3), matrix(4, 4)
    with pytest.raises(ShapeError, match=r"GradedVec .* << GradedDense .*: shapes \(3,\) and \(4,\)"):
        vec << good + bad
    with pytest.raises(AssertionError, match="incompatible"):
        vec << vector(4)
    with pytest.raises(ShapeError):
        matrix(3, 3) @ vector(2)
    with pytest.raises(ShapeError):
        ProductVec(shape=(3,)) << (good, bad)
    with pytest.raises(ShapeError, match=r"shapes \(3,\) and \(4,\)"):
        vec * vector(4)
    with pytest.raises(ShapeError, match="one axis"):
        GradedVec(shape=(2, 2)) * GradedVec(shape=(2, 2))
    assert connections(vec, good, bad) == [0] * 6


def test_a_matrix_can_take_part_in_a_sum_once():
    weights, other, out = matrix(), matrix(), vector()
    with pytest.raises(DuplicateConnectionError, match="make a second one"):
        out << other + weights @ vector() + weights @ vector()
    assert connections(out) == [0, 0]
    out << weights
    with pytest.raises(DuplicateConnectionError):
        out << weights


def test_networks_without_an_input_or_output_say_so():
    out = OutputVec(shape=(3,), name="out")
    with pytest.raises(PortError, match=r"InputVec .* takes no input"):
        InputVec([[1]]) << vector(1)
    with pytest.raises(PortError, match=r"OutputVec \(out\) has no output"):
        vector() << out
    with pytest.raises(PortError, match="AlgebraicMatrix takes no input"):
        AlgebraicMatrix() @ vector()
    with pytest.raises(ValidationError, match=r"Network\.main: is None"):
        Network().run(condition=RunSteps(1))
    with pytest.raises(ArgumentTypeError, match="NetworkList holds networks, not int"):
        NetworkList([vector(), 3])


@pytest.mark.parametrize(
    ("tag", "error", "message"),
    [
        (None, DtypeError, "float64.*int32"),
        ("floating_pt", CompileError, "GradedVec.* has no model with tag 'floating_pt'"),
    ],
)
def test_networks_of_graded_neurons_run_in_fixed_point_only(tag, error, message):
    vec = vector(2)
    vec << matrix(2, 2) @ pulse(1, 2)
    with pytest.raises(error, match=message):
        vec.run(condition=RunSteps(2), run_cfg=Loihi2SimCfg(select_tag=tag, launcher="inline"))


# --- containers ---------------------------------------------------------------------------------


def test_an_input_copies_and_scales_what_it_is_given():
    data = np.array([[1, 2, 3], [4, 5, 7]])
    for vec, exp in ((data, -1), (data.astype(float), 2), (data.tolist(), 3)):
        network = InputVec(vec, exp=exp)
        np.testing.assert_array_equal(network.inport_plug.data.init, data * 2.0**exp)
        assert (network.shape, network.out_port.shape, network.exp) == ((2,), (2,), exp)
    np.testing.assert_array_equal(data, [[1, 2, 3], [4, 5, 7]])
    assert InputVec([1, 2, 3]).inport_plug.data.shape == (1, 3)
    assert InputVec(data, exp=3).inport_plug.data.init.dtype.kind == "i"


def test_an_input_can_be_run_and_repeats():
    source, out = InputVec([[1, 2]], name="in"), OutputVec(shape=(1,), buffer=5)
    out << source
    source.run(condition=RunSteps(num_steps=3), run_cfg=CONFIG)
    source.pause()
    out.run(RunSteps(2))
    out.wait()
    assert out.get_data().tolist() == [[1, 2, 1, 2, 1]]
    source.stop()
    assert source.main.name == "in"


def test_an_output_has_24_bits():
    out = OutputVec(shape=(3,), buffer=1, name="out")
    assert out.get_data().tolist() == [[0], [0], [0]]
    out << InputVec([[2**23], [-(2**23)], [2**24 + 5]])
    out.run(condition=RunSteps(1), run_cfg=CONFIG)
    out.stop()
    with pytest.warns(LaharWarning, match=rf"OutputVec \(out\): 2 of 3 numbers.*the worst is {2**24 + 5}"):
        data = out.get_data()
    assert (data.tolist(), data.dtype) == ([[-(2**23)], [-(2**23)], [5]], np.int32)


@pytest.mark.parametrize("make", [lambda: InputVec([[1]], loihi2=True), lambda: OutputVec((1,), loihi2=True)])
def test_hardware_is_not_needed(make):
    with pytest.warns(LaharWarning, match="loihi2=True has no effect") as caught:
        assert make().loihi2 is True
    assert caught[0].filename == __file__


@pytest.mark.parametrize(("kind", "process"), [(GradedDense, Dense), (GradedSparse, Sparse)])
def test_matrices_hold_connections(kind, process):
    weights = np.array([[0.5, 0.25, 0], [1, 0, 0.75]])
    network = kind(weights=weights, exp=5, name="w", num_weight_bits=6, sign_mode=SignMode.EXCITATORY)
    assert type(network.main) is process
    found = network.main.weights.get()
    np.testing.assert_array_equal(found if process is Dense else found.toarray(), weights * 32)
    assert (network.main.name, network.exp, network.shape) == ("w", 5, (2,))
    assert (network.in_port.shape, network.out_port.shape) == ((3,), (2,))
    params = network.main.proc_params
    assert (params["weight_exp"], params["num_weight_bits"], params["num_message_bits"]) == (-5, 6, 24)
    with pytest.raises(ArgumentTypeError, match="Did you mean 'sign_mode'"):
        kind(weights=weights, sing_mode=SignMode.MIXED)
    with pytest.raises(ArgumentTypeError, match=rf"{kind.__name__}\.exp must be an integer"):
        kind(weights=weights, exp=0.5)


def test_weights_may_be_lists_and_sparse_matrices():
    for weights in ([[1, 0.5]], csr_matrix([[1, 0.5]])):
        assert GradedSparse(weights=weights).main.weights.get().toarray().tolist() == [[128, 64]]
    assert GradedDense(weights=[[1, 0.5]]).main.weights.get().tolist() == [[128, 64]]


def test_weights_out_of_range_are_clipped_and_warned_of():
    vec = vector(1)
    vec << GradedDense(weights=[[3.5]], name="big") @ pulse(100)
    with pytest.warns(LaharWarning, match="Dense 'big': 1 of 1 weights are outside"):
        assert sent(vec, 2)[1] == [100 * 255 // 128]


def test_vectors_hold_neurons():
    for network, process in (
        (LIFVec(shape=(2,), du=4095, vth=3, name="n"), LIF),
        (GradedVec(shape=(2,), vth=4, exp=3, name="n"), GradedVecProcess),
        (ProductVec(shape=(2,), vth=4, exp=3, name="n"), ProdNeuron),
        (ResFireVec(shape=(2,), freqs=[1, 2], decay_tau=[3, 4], uth=5, dt=0.1, name="n"), RFZero),
    ):
        assert isinstance(network.main, process)
        assert (network.main.name, network.shape) == ("n", (2,))
        assert network.out_port is network.main.s_out
    assert (network.uth, network.dt, network.freqs.tolist()) == (5, 0.1, [1, 2])
    assert network.decay_tau.tolist() == [3, 4]
    with pytest.raises(TypeError, match="vht"):
        GradedVec(shape=(2,), vht=3)


def test_a_lif_vector_takes_a_vector():
    lif, source = LIFVec(shape=(1,), du=4095, dv=4095, vth=10), vector(1)
    source << matrix(1, 1) @ pulse(100)
    lif << source
    assert sent(lif, 4) == [[0], [0], [1], [0]]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_normalisation_needs_held_inputs_unless_delays_are_matched(steps):
    values = np.array([30, 40])
    normal = (values * 2**18 / 50).astype(int)
    for matched in (False, True):
        net = NormalizeNet(shape=(2,), matched_delays=matched)
        assert net << matrix(2, 2) @ pulse(*values, steps=steps) is net
        rows = np.array(sent(net, 8))
        good = [t for t, row in enumerate(rows) if (abs(row - normal) < 0.01 * normal).all()]
        assert rows.any(axis=1).sum() == len(good)
        first = 3  # one step for the matrix, two for the loop
        assert good == list(range(first, first + steps - (not matched)))


def test_normalisation_holds_its_parts():
    net = NormalizeNet(shape=(4,), exp=12, name="norm")
    assert (net.main.name, net.fpb, net.shape) == ("norm", 12, (4,))
    assert (net.in_port, net.out_port) == (net.main.a_in1, net.main.s_out)
    assert (net.vfp_dense.weights.shape, net.fpv_dense.weights.shape) == ((1, 4), (4, 1))
    assert net.fp_inv_neuron.shape == (1,)
    plan = compiler.compile(net.main, CONFIG)
    assert len(plan.processes) == 4


def test_a_sink_is_what_an_output_holds():
    out = OutputVec(shape=(2,), buffer=3, num_message_bits=16)
    assert isinstance(out.outport_plug, SinkRingBuffer)
    assert (out.shape, out.buffer, out.num_message_bits) == ((2,), 3, 16)
    assert out.in_port is out.outport_plug.a_in
