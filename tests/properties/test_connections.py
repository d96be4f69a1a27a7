"""What holds for every static connection, whatever its options: the sums of its synapses, exactly.

- each connection sends what a loop over its synapses gives, so that computing only where spikes are changes
  nothing;
- a sparse connection with all entries is the dense one;
- a delay, a convolution and a convolution in time are connections that can be written as `Dense`.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from support.catalogue import rule
from support.connections import Experiment, outputs
from support.kernels import only
from support.plain_connections import PlainConnection

import lahar.processes as library
from lahar.processes import (
    Conv,
    ConvInTime,
    DelayDense,
    Dense,
    SignMode,
    SinkRingBuffer,
    SourceRingBuffer,
    kernels,
)
from lahar.processes.conv_matrix import conv_to_sparse
from lahar.runtime import Loihi2SimCfg, RunSteps

pytestmark = pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")


@pytest.fixture(params=kernels.CHOICES, scope="module", autouse=True)
def _kernels(request):
    """Run all tests with both implementations."""
    with only(request.param):
        yield


TAGS = ["floating_pt", "fixed_pt"]
KINDS = ["Dense", "Sparse", "DelayDense", "DelaySparse", "LearningDense", "LearningSparse"]
EXTREMES = np.array([2**31 - 1, -(2**31), -1, 1, 2**30, -(2**30)])
DTYPES = [np.int8, np.int16, np.int32, np.int64, np.float32, np.float64]


def connection(kind, weights, delays, stored, options):
    """Construct a connection; a sparse one stores the entries that `stored` says."""
    options = dict(options)
    if kind.startswith("Learning"):
        options["learning_rule"] = rule(t_epoch=63)  # which these runs do not reach
    if "Sparse" in kind:
        rows, cols = np.nonzero(stored)
        weights = csr_matrix((weights[rows, cols], (rows, cols)), shape=weights.shape)
        delays = csr_matrix((delays[rows, cols], (rows, cols)), shape=delays.shape)
    if kind.startswith("Delay"):
        options["delays"] = delays
    return getattr(library, kind)(weights=weights, **options)


@st.composite
def cases(draw, kinds=KINDS, tags=TAGS):
    kind, tag = draw(st.sampled_from(kinds)), draw(st.sampled_from(tags))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    m, n, steps = draw(st.sampled_from([(1, 1, 6), (1, 9, 6), (5, 1, 6), (4, 6, 8), (3, 20, 5)]))
    limit = draw(st.sampled_from([3, 127, 300]))
    signs = draw(st.sampled_from([(-limit, limit), (0, limit), (-limit, 1)]))
    dtype = draw(st.sampled_from(DTYPES if "Dense" in kind else [np.int64, np.float64]))
    weights = rng.integers(*signs, (m, n))
    if tag == "floating_pt" and np.dtype(dtype).kind == "f":
        weights = weights * 0.1
    weights = np.clip(weights, -128, 127).astype(dtype) if dtype is np.int8 else weights.astype(dtype)
    stored = np.ones((m, n), bool)
    if "Sparse" in kind:
        stored = rng.random((m, n)) < draw(st.sampled_from([0.0, 0.4, 1.0]))
        weights = weights * stored  # implicit zeros count for the sign mode
    delays = np.zeros((m, n), int)
    options = {
        "num_message_bits": draw(st.sampled_from([0, -3, 1, 8])),
        "weight_exp": draw(st.sampled_from([0, 1, 5, 24, 40, 70, -1, -4, -40])),
        "num_weight_bits": draw(st.sampled_from([8, 7, 4, 1, 0])),
    }
    mode = draw(st.sampled_from([None, SignMode.MIXED, SignMode.EXCITATORY, SignMode.INHIBITORY]))
    if mode is not None:
        options["sign_mode"] = mode
    if kind.startswith("Delay"):
        delays = rng.integers(0, draw(st.sampled_from([1, 3, 7])), (m, n)) * stored
        options["max_delay"] = draw(st.sampled_from([0, 2, 9]))
    spikes = rng.integers(-40, 40, (n, steps))
    if draw(st.booleans()) and tag == "fixed_pt":
        spikes = np.where(rng.random((n, steps)) < 0.4, rng.choice(EXTREMES, (n, steps)), spikes)
    spikes = spikes * (rng.random((n, steps)) < draw(st.sampled_from([0.0, 0.1, 0.7, 1.0])))
    return kind, tag, weights, delays, stored, options, spikes


def as_stored(matrix, stored):
    """Return the entries of a matrix that exist, as CSR."""
    rows, cols = np.nonzero(stored)
    return csr_matrix((matrix[rows, cols], (rows, cols)), shape=matrix.shape)


def entries(value):
    return value.toarray() if hasattr(value, "toarray") else value


def check(experiment, plain, spikes, steps):
    got = experiment.run(steps)
    expected = [plain.step(x) for x in spikes[:steps]]
    if plain.fixed:
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(cases())
def test_a_connection_sends_what_a_loop_over_its_synapses_gives(case):
    kind, tag, weights, delays, stored, options, spikes = case
    plain = PlainConnection(kind, weights, delays, stored, tag, options)
    with Experiment(connection(kind, weights, delays, stored, options), spikes, tag) as experiment:
        check(experiment, plain, spikes.T.tolist(), spikes.shape[1])
        np.testing.assert_array_equal(entries(experiment.connection.weights.get()), plain.weights)


@settings(deadline=None, max_examples=60)
@given(cases(), st.data())
def test_what_is_set_at_a_pause_counts_from_there_on(case, data):
    """Weights and delays act on the next input, and weights are only cast; the buffer is what is sent next."""
    kind, tag, weights, delays, stored, options, spikes = case
    plain = PlainConnection(kind, weights, delays, stored, tag, options)
    process, steps = connection(kind, weights, delays, stored, options), spikes.shape[1]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    first = data.draw(st.integers(1, steps - 1), "steps before")
    what = data.draw(st.sets(st.sampled_from(["weights", "delays", "a_buff", "num_message_bits"])), "set")
    matrix = (lambda m: as_stored(m, stored)) if "Sparse" in kind else np.asarray
    with Experiment(process, spikes, tag) as experiment:
        check(experiment, plain, spikes.T.tolist(), first)
        if "weights" in what:
            new = rng.integers(-999, 999, weights.shape) * stored
            process.weights.set(matrix(new))
            plain.weights = new.tolist()
        if "delays" in what and kind.startswith("Delay"):
            plain.delays = rng.integers(0, plain.depth + 2, delays.shape) * stored
            process.delays.set(matrix(plain.delays))
        if "a_buff" in what:
            new = rng.integers(-(2**31), 2**31, process.a_buff.shape)
            process.a_buff.set(new)
            plain.buffer = new.reshape(len(weights), -1).T.tolist()
        if "num_message_bits" in what:
            plain.graded = data.draw(st.booleans(), "graded")
            process.num_message_bits.set(np.array([7 * plain.graded]))
        check(experiment, plain, spikes.T.tolist()[first:], steps - first)


# --- connections that can be written as others ---------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    cases(["Dense", "DelayDense", "LearningDense"]), st.sampled_from([csr_matrix, np.asarray]), st.booleans()
)
def test_a_sparse_connection_with_all_entries_is_the_dense_one(case, form, learns):
    """The same bits, also in floating point, and also where a rule changes the weights."""
    kind, tag, weights, delays, _, options, spikes = case
    weights = np.where(weights == 0, 1, weights)  # of an array only the non-zeros are entries
    if tag == "fixed_pt" and kind == "DelayDense":
        # rows are summed in 64 bits by one and in 32 bits by the other, which a right shift shows
        options = {**options, "weight_exp": abs(options["weight_exp"])}
    if weights.dtype == np.float32:  # in which only Sparse computes
        weights = weights.astype(float)
    if learns:
        weights = weights * 2.0
    sent = []
    for name in (kind, kind.replace("Dense", "Sparse")):
        arguments = {**options}
        if kind == "LearningDense":
            arguments["learning_rule"] = rule(t_epoch=2 if learns else 63)
            if learns:  # payloads are limited, and an entry that truncation makes 0 no longer learns
                arguments["num_message_bits"], arguments["num_weight_bits"] = 0, 8
        if kind == "DelayDense":
            arguments["delays"] = delays
        process = getattr(library, name)(weights=form(weights) if "Sparse" in name else weights, **arguments)
        if kind == "LearningDense":
            bap = np.random.default_rng(1).random((len(weights), spikes.shape[1])) < 0.5
            SourceRingBuffer(data=bap).s_out.connect(process.s_in_bap)
        with Experiment(process, spikes, tag) as experiment:
            sent.append(experiment.run(spikes.shape[1]))
            sent[-1] = np.concatenate([sent[-1].ravel(), entries(process.weights.get()).ravel()])
    np.testing.assert_array_equal(sent[1], sent[0])


@st.composite
def convolutions(draw):
    size = [draw(st.integers(1, 6)) for _ in range(2)]
    kernel = [draw(st.integers(1, 3)) for _ in range(2)]
    padding = [draw(st.integers(0, 3)) for _ in range(2)]
    dilation = [
        draw(st.integers(1, 3).filter(lambda d, k=k, s=s, p=p: s + 2 * p > d * (k - 1)))
        if s + 2 * p > k - 1
        else None
        for k, s, p in zip(kernel, size, padding, strict=True)
    ]
    kernel = [1 if d is None else k for k, d in zip(kernel, dilation, strict=True)]
    groups = draw(st.integers(1, 3))
    channels = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    return {
        "input_shape": (*size, channels[0]),
        "weight": (channels[1], *kernel, channels[0] // groups),
        "stride": tuple(draw(st.integers(1, 4)) for _ in range(2)),
        "padding": tuple(padding),
        "dilation": tuple(d or 1 for d in dilation),
        "groups": groups,
    }


@settings(deadline=None, max_examples=60)
@given(convolutions(), st.sampled_from(TAGS), st.sampled_from([0, 8]), st.integers(0, 2**32 - 1))
def test_a_convolution_is_the_dense_connection_of_its_matrix(geometry, tag, bits, seed):
    rng, steps = np.random.default_rng(seed), 4
    shape, kernel = geometry["input_shape"], geometry.pop("weight")
    weight = 2 * rng.integers(-128, 128, kernel) * (0.1 if tag == "floating_pt" else 1)
    spikes = rng.integers(-99, 99, (*shape, steps)) * (rng.random((*shape, steps)) < 0.4)
    convolution = Conv(weight=weight, num_message_bits=bits, **geometry)
    source = SourceRingBuffer(data=spikes)
    sink = SinkRingBuffer(shape=convolution.output_shape, buffer=steps + 1)
    source.s_out.connect(convolution.s_in)
    convolution.a_out.connect(sink.a_in)
    with source:
        source.run(RunSteps(steps + 1), Loihi2SimCfg(select_tag=tag, launcher="inline"))
        got = sink.data.get().reshape(-1, steps + 1).T[1:]
    matrix = np.zeros((got.shape[1], spikes[..., 0].size))
    dst, src, values = conv_to_sparse(
        shape,
        convolution.output_shape,
        weight,
        geometry["stride"],
        geometry["padding"],
        geometry["dilation"],
        geometry["groups"],
    )
    np.add.at(matrix, (dst, src), values)
    dense = Dense(weights=matrix, num_message_bits=bits, sign_mode=SignMode.MIXED)
    np.testing.assert_array_equal(got, outputs(dense, spikes.reshape(-1, steps), tag))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 5),
    st.sampled_from([(1, 1), (1, 4), (3, 5)]),
    st.sampled_from(TAGS),
    st.sampled_from([0, 8]),
    st.integers(0, 2**32 - 1),
)
def test_a_convolution_in_time_is_the_sum_of_dense_connections_that_come_later(
    length, shape, tag, bits, seed
):
    rng, steps = np.random.default_rng(seed), 9
    weights = 2 * rng.integers(-128, 128, (length, *shape)) * (0.1 if tag == "floating_pt" else 1)
    spikes = rng.integers(-99, 99, (shape[1], steps)) * (rng.random((shape[1], steps)) < 0.5)
    got = outputs(ConvInTime(weights=weights, num_message_bits=bits), spikes, tag)
    source, sink = SourceRingBuffer(data=spikes), SinkRingBuffer(shape=shape[:1], buffer=steps + 1)
    for delay in range(length):
        slice_ = weights[length - 1 - delay]
        options = {"num_message_bits": bits, "sign_mode": SignMode.MIXED}
        part = (
            DelayDense(weights=slice_, delays=delay, **options) if delay else Dense(weights=slice_, **options)
        )
        source.s_out.connect(part.s_in)
        part.a_out.connect(sink.a_in)
    with source:
        source.run(RunSteps(steps + 1), Loihi2SimCfg(select_tag=tag, launcher="inline"))
        expected = sink.data.get().T[1:]
    np.testing.assert_allclose(
        got, expected, rtol=0 if tag == "fixed_pt" else 1e-12, atol=1e-9 * (tag != "fixed_pt")
    )
