"""Declaring networks: Processes, Vars, ports, and the library of processes and learning rules."""

from .atrlif import ATRLIF
from .dense import Dense
from .graded import GradedReluVec, GradedVec, NormVecDelay
from .id_broadcast import IdBroadcast
from .inv_sqrt import InvSqrt
from .learning.constants import GradedSpikeCfg
from .learning.rule import Loihi2FLearningRule, Loihi3FLearningRule, LoihiLearningRule
from .learning.stdp import RewardModulatedSTDP, STDPLoihi
from .learning_dense import LearningDense
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
from .resfire import RFZero
from .rf import RF
from .rf_iz import RF_IZ
from .s4d import S4d, SigmaS4dDelta, SigmaS4dDeltaLayer
from .sdn import ActivationMode, Delta, Sigma, SigmaDelta
from .sink import RingBuffer as SinkRingBuffer
from .source import RingBuffer as SourceRingBuffer
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
    "Delta",
    "Dense",
    "GradedReluVec",
    "GradedSpikeCfg",
    "GradedVec",
    "IdBroadcast",
    "InPort",
    "InvSqrt",
    "LIFRefractory",
    "LIFReset",
    "LearningDense",
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
    "Readout",
    "RefPort",
    "RewardModulatedSTDP",
    "S4d",
    "STDPLoihi",
    "Sigma",
    "SigmaDelta",
    "SigmaS4dDelta",
    "SigmaS4dDeltaLayer",
    "SignMode",
    "SinkRingBuffer",
    "SourceRingBuffer",
    "Spiker",
    "Spiker32bit",
    "TernaryLIF",
    "Var",
    "VarPort",
]
