"""Declaring networks: Processes, Vars, ports, and the library of processes and learning rules."""

from .channel_config import ChannelConfig, ReceiveEmpty, ReceiveNotEmpty, SendFull
from .dense import Dense
from .extractor import Extractor, VarWire
from .injector import Injector
from .learning.constants import GradedSpikeCfg
from .learning.rule import Loihi2FLearningRule, Loihi3FLearningRule, LoihiLearningRule
from .learning.stdp import RewardModulatedSTDP, STDPLoihi
from .learning_dense import LearningDense
from .lif import LIF
from .monitor import Monitor
from .ports import InPort, OutPort, RefPort, VarPort
from .process import AbstractProcess, LogConfig
from .sink import RingBuffer as SinkRingBuffer
from .source import RingBuffer as SourceRingBuffer
from .var import Var
from .weights import SignMode

__all__ = [
    "LIF",
    "AbstractProcess",
    "ChannelConfig",
    "Dense",
    "Extractor",
    "GradedSpikeCfg",
    "InPort",
    "Injector",
    "LearningDense",
    "LogConfig",
    "Loihi2FLearningRule",
    "Loihi3FLearningRule",
    "LoihiLearningRule",
    "Monitor",
    "OutPort",
    "ReceiveEmpty",
    "ReceiveNotEmpty",
    "RefPort",
    "RewardModulatedSTDP",
    "STDPLoihi",
    "SendFull",
    "SignMode",
    "SinkRingBuffer",
    "SourceRingBuffer",
    "Var",
    "VarPort",
    "VarWire",
]
