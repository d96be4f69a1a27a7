"""Declaring networks: Processes, Vars, ports, and the library of processes and learning rules."""

from .atrlif import ATRLIF
from .bit_check import BitCheck
from .channel_config import ChannelConfig, ReceiveEmpty, ReceiveNotEmpty, SendFull
from .conv import Conv
from .conv_in_time import ConvInTime
from .conv_matrix import TensorOrder
from .dataloader import SpikeDataloader, StateDataloader
from .delay_dense import DelayDense
from .delay_sparse import DelaySparse
from .delta_encoder import Compression, DeltaEncoder
from .dense import Dense
from .digits import DigitsDataset
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
from .mnist import MnistDataset
from .monitor import Monitor
from .novelty_detector import NoveltyDetector
from .nsm import Allocator, Readout
from .ports import InPort, OutPort, RefPort, VarPort
from .process import AbstractProcess, LogConfig
from .prodneuron import ProdNeuron
from .prototype_lif import PrototypeLIF
from .receiver import Receiver, Receiver32Bit
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
    "BitCheck",
    "ChannelConfig",
    "Compression",
    "Conv",
    "ConvInTime",
    "DelayDense",
    "DelaySparse",
    "Delta",
    "DeltaEncoder",
    "Dense",
    "DigitsDataset",
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
    "MnistDataset",
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
    "Receiver",
    "Receiver32Bit",
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
    "SpikeDataloader",
    "Spiker",
    "Spiker32bit",
    "StateDataloader",
    "TensorOrder",
    "TernaryLIF",
    "Var",
    "VarPort",
    "VarWire",
]
