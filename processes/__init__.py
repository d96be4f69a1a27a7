"""Declaring networks: Processes, Vars, ports, and the library of processes and learning rules."""

from .atrlif import ATRLIF
from .channel_config import ChannelConfig, ReceiveEmpty, ReceiveNotEmpty, SendFull
from .delay_dense import DelayDense
from .delay_sparse import DelaySparse
from .dense import Dense
from .extractor import Extractor, VarWire
from .graded import GradedReluVec, GradedVec, NormVecDelay
from .id_broadcast import IdBroadcast
from .injector import Injector
from .inv_sqrt import InvSqrt
from .learning.connection import LearningConnectionProcess
from .learning.constants import GradedSpikeCfg
from .learning.neuron import LearningNeuronProcess
from .learning.rule import Loihi2FLearningRule, Loihi3FLearningRule, LoihiLearningRule
from .learning.stdp import RewardModulatedSTDP, STDPLoihi
from .learning_dense import LearningDense
from .learning_lif import LearningLIF
from .learning_sparse import LearningSparse
from .lif import LIF
from .lif_refractory import LIFRefractory
from .lif_reset import LIFReset
from .lif_ternary import TernaryLIF
from .monitor import Monitor
from .novelty_detector import NoveltyDetector
from .nsm import Allocator, Readout
from .ports import InPort, OutPort, RefPort, VarPort
from .process import AbstractProcess, LogConfig
from .prodneuron import ProdNeuron
from .prototype_lif import PrototypeLIF
from .reset import Reset
from .resfire import RFZero
from .rf import RF
from .rf_iz import RF_IZ
from .s4d import S4d, SigmaS4dDelta, SigmaS4dDeltaLayer
from .sdn import ActivationMode, Delta, Sigma, SigmaDelta
from .sink import Read
from .sink import RingBuffer as SinkRingBuffer
from .source import RingBuffer as SourceRingBuffer
from .sparse import Sparse
from .spiker import Spiker, Spiker32bit
from .var import Var
from .weights import SignMode

__all__ = [
    "ATRLIF",
    "LIF",
    "RF",
    "RF_IZ",
    "AbstractProcess",
    "ActivationMode",
    "Allocator",
    "ChannelConfig",
    "DelayDense",
    "DelaySparse",
    "Delta",
    "Dense",
    "Extractor",
    "GradedReluVec",
    "GradedSpikeCfg",
    "GradedVec",
    "IdBroadcast",
    "InPort",
    "Injector",
    "InvSqrt",
    "LIFRefractory",
    "LIFReset",
    "LearningConnectionProcess",
    "LearningDense",
    "LearningLIF",
    "LearningNeuronProcess",
    "LearningSparse",
    "LogConfig",
    "Loihi2FLearningRule",
    "Loihi3FLearningRule",
    "LoihiLearningRule",
    "Monitor",
    "NormVecDelay",
    "NoveltyDetector",
    "OutPort",
    "ProdNeuron",
    "PrototypeLIF",
    "RFZero",
    "Read",
    "Readout",
    "ReceiveEmpty",
    "ReceiveNotEmpty",
    "RefPort",
    "Reset",
    "RewardModulatedSTDP",
    "S4d",
    "STDPLoihi",
    "SendFull",
    "Sigma",
    "SigmaDelta",
    "SigmaS4dDelta",
    "SigmaS4dDeltaLayer",
    "SignMode",
    "SinkRingBuffer",
    "SourceRingBuffer",
    "Sparse",
    "Spiker",
    "Spiker32bit",
    "TernaryLIF",
    "Var",
    "VarPort",
    "VarWire",
]
