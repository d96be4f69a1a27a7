"""ConnectionConfig: kept at both ports, and without effect on what a network computes."""

from __future__ import annotations

import numpy as np

from lahar.processes import SinkRingBuffer, SourceRingBuffer
from lahar.processes.connection_config import ConnectionConfig, SpikeIOInterface, SpikeIOMode, SpikeIOPort
from lahar.runtime import Loihi2SimCfg, RunSteps


def test_a_configured_connection_carries_the_same():
    sources = [SourceRingBuffer(data=np.array([[k, 2 * k]])) for k in (1, 10)]
    sink = SinkRingBuffer(shape=(1,), buffer=2)
    configs = [ConnectionConfig(interface=SpikeIOInterface.PIO, spike_io_port=SpikeIOPort("n")), None]
    sink.a_in.connect_from([source.s_out for source in sources], configs)
    assert sink.a_in.connection_configs == {sources[0].s_out: configs[0]}
    assert sources[0].s_out.connection_configs[sink.a_in] is configs[0]
    with sink:
        sink.run(RunSteps(2), Loihi2SimCfg(launcher="inline"))
    assert sink.data.get().tolist() == [[11, 22]]


def test_by_default_spikes_come_over_ethernet_at_their_time():
    config = ConnectionConfig()
    assert (config.interface, config.spike_io_mode) == (SpikeIOInterface.ETHERNET, SpikeIOMode.TIME_COMPARE)
    assert (config.num_probes, config.num_time_buckets, config.ethernet_chip_id) == (4, 65536, None)
