"""Declaring networks: Processes, Vars, ports, and the library of processes and learning rules."""

from .bit_check import BitCheck
from .conv import Conv
from .conv_in_time import ConvInTime
from .conv_matrix import TensorOrder
from .dataloader import SpikeDataloader, StateDataloader
from .delay_dense import DelayDense
from .delay_sparse import DelaySparse
from .delta_encoder import Compression, DeltaEncoder
from .dense import Dense
from .learning.constants import GradedSpikeCfg
from .learning.rule import Loihi2FLearningRule, Loihi3FLearningRule, LoihiLearningRule
from .learning.stdp import RewardModulatedSTDP, STDPLoihi
from .learning_dense import LearningDense
from .lif import LIF
from .monitor import Monitor
from .ports import InPort, OutPort, RefPort, VarPort
from .process import AbstractProcess, LogConfig
from .receiver import Receiver, Receiver32Bit
from .reset import Reset
from .sink import Read
from .sink import RingBuffer as SinkRingBuffer
from .source import RingBuffer as SourceRingBuffer
from .sparse import Sparse
from .var import Var
from .weights import SignMode

__all__ = [
    "LIF",
    "AbstractProcess",
    "BitCheck",
    "Compression",
    "Conv",
    "ConvInTime",
    "DelayDense",
    "DelaySparse",
    "DeltaEncoder",
    "Dense",
    "GradedSpikeCfg",
    "InPort",
    "LearningDense",
    "LogConfig",
    "Loihi2FLearningRule",
    "Loihi3FLearningRule",
    "LoihiLearningRule",
    "Monitor",
    "OutPort",
    "Read",
    "Receiver",
    "Receiver32Bit",
    "RefPort",
    "Reset",
    "RewardModulatedSTDP",
    "STDPLoihi",
    "SignMode",
    "SinkRingBuffer",
    "SourceRingBuffer",
    "Sparse",
    "SpikeDataloader",
    "StateDataloader",
    "TensorOrder",
    "Var",
    "VarPort",
]
