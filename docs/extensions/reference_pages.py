"""Pages that are generated from the code: one per public class, the errors, and the findings of check()."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from pathlib import Path
from typing import Any

import lahar.processes
from lahar.processes import errors

FOLDER = "generated"

GROUPS = {
    "Building blocks": (
        "AbstractProcess Var InPort OutPort RefPort VarPort LogConfig ChannelConfig SendFull ReceiveEmpty "
        "ReceiveNotEmpty"
    ),
    "Neurons": (
        "LIF LIFReset LIFRefractory TernaryLIF LearningLIF ATRLIF RF RF_IZ RFZero PrototypeLIF Spiker "
        "Spiker32bit S4d SigmaS4dDelta SigmaS4dDeltaLayer Delta Sigma SigmaDelta ActivationMode GradedVec "
        "GradedReluVec NormVecDelay ProdNeuron InvSqrt IdBroadcast NoveltyDetector Readout Allocator"
    ),
    "Connections": "Dense Sparse DelayDense DelaySparse LearningDense LearningSparse Conv ConvInTime SignMode",
    "Learning": (
        "LoihiLearningRule Loihi2FLearningRule Loihi3FLearningRule STDPLoihi RewardModulatedSTDP "
        "GradedSpikeCfg LearningConnectionProcess LearningNeuronProcess"
    ),
    "Input and output": ("SourceRingBuffer SinkRingBuffer Read Reset Monitor Injector Extractor VarWire"),
    "Data sets": "MnistDataset DigitsDataset SpikeDataloader StateDataloader",
}

REPAIRS = {
    "LaharError": "Catch this class to catch every error of Lahar.",
    "ValidationError": "Pass a value in the range that the message names.",
    "ArgumentTypeError": "Pass the type that the message names; misspelt keywords are suggested.",
    "ShapeError": "Make both shapes equal: ``reshape()``, ``flatten()``, ``transpose()``, or another initial value.",
    "DtypeError": "Convert the value first, or declare a wider type in the model.",
    "VarIndexError": "Use an index within the shape of the Var.",
    "PortError": "Connect an OutPort to an InPort, a RefPort to a VarPort or, by ``connect_var``, to a Var.",
    "MemberError": "Use a name that the Process has; the message lists them.",
    "RuleError": "Correct the rule at the column that the message points at.",
    "ReshapeError": "Ask for a shape with as many elements as the port has.",
    "TransposeShapeError": "Name each axis of the port exactly once.",
    "TransposeIndexError": "Name only axes that the port has.",
    "ConcatShapeError": "Make the ports equal in all axes but the one along which they are joined.",
    "ConcatIndexError": "Name an axis that the ports have.",
    "DuplicateConnectionError": "Remove the second connection; to count an input twice, double the weight.",
    "VarNotSharableError": "Declare the Var with ``shareable=True``, or use messages.",
    "CompileError": "Make the model and its Process agree in names, shapes and types.",
    "NoProcessModelFound": "Write or import a model with ``@implements(proc=...)``.",
    "PlacementError": "Ask for no more partitions than there are processes, and place only what is in the network.",
    "UnpicklableError": "Keep open files, locks and the like out of the Process; create them in ``on_build``.",
    "MissingFileError": "Check the path; relative ones count from the directory of the program.",
    "FileFormatError": "Pass a file that Lahar wrote.",
    "DamagedFileError": "Pass a file that ``save`` has written; save it again if it was cut.",
    "DownloadError": "Pass ``data_path``, as the message says, or try again later.",
    "MissingExtraError": "Install the extra with the command in the message.",
    "StateError": "Call ``pause()``, ``wait()`` or ``create_runtime()`` first, as the message says.",
    "UnstartedError": "Give the value to the constructor, or call ``create_runtime()`` before ``set()``.",
    "ModelError": "Read ``remote_traceback``: it ends in the line of the model that raised.",
    "WorkerDiedError": "The message has the exit status: a signal, an ``exit()`` in a model, or lack of memory.",
    "DeadlockError": "Put a delay into the loop, or send in every step; the message says which of the two.",
    "LocalProtocolError": "Report it, please, with the message.",
    "RemoteProtocolError": "See that all workers run the same version of Lahar.",
}


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-signature", signature_of_class)
    return {"parallel_read_safe": True}


def write_pages(app: Any) -> None:
    """Write all pages; files that would not change are left alone, so that Sphinx need not read them again."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    pages = {"reference": reference_page(), "errors": errors_page(), "checks": checks_page()}
    for name in lahar.processes.__all__:
        pages[name] = class_page(name)
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for path in folder.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()


def signature_of_class(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Return the signature of the constructor: Sphinx shows that of the metaclass, which takes anything."""
    del app, name, options
    if what == "class" and isinstance(obj, type(lahar.processes.AbstractProcess)):
        constructor = inspect.signature(obj.__init__)
        parameters = [p.replace(annotation=p.empty) for p in list(constructor.parameters.values())[1:]]
        signature = str(constructor.replace(parameters=parameters, return_annotation=constructor.empty))
    return signature, returns


def title(text: str, mark: str = "=") -> str:
    return f"{text}\n{mark * len(text)}\n\n"


def reference_page() -> str:
    """Return the page that lists the public classes by kind."""
    remaining = list(lahar.processes.__all__)
    text = title("Library") + "Everything here can be imported from ``lahar.processes``.\n"
    for group, names in {**GROUPS, "More": ""}.items():
        members = [name for name in names.split() if name in remaining]
        if group == "More":
            members = remaining
        if members:
            text += f"\n{title(group, '-')}.. toctree::\n   :maxdepth: 1\n\n"
            text += "".join(f"   {name}\n" for name in members)
            remaining = [name for name in remaining if name not in members]
    return text


def class_page(name: str) -> str:
    """Return the page of one class; one that has another name at home is shown with that."""
    cls = getattr(lahar.processes, name)
    module = "lahar.processes" if cls.__name__ == name else cls.__module__
    return f"{title(name)}.. currentmodule:: {module}\n\n.. autoclass:: {cls.__name__}\n   :members:\n"


def error_classes() -> list[type]:
    """Return Lahar's exceptions in the order in which they are defined."""
    found = [value for value in vars(errors).values() if inspect.isclass(value)]
    return [cls for cls in found if issubclass(cls, errors.LaharError)]


def errors_page() -> str:
    """Return the table of errors; KeyError if one has no repair."""
    text = title("Errors")
    text += (
        "All are in ``lahar.processes.errors``. Each is also one of Python's built-in exceptions, so that code "
        "written for these keeps working. A message says what is wrong, where, and what to do; the table says it in "
        "general. Warnings are of the class ``LaharWarning``.\n\n"
        ".. list-table::\n   :header-rows: 1\n   :widths: 26 34 40\n\n   * - Error\n     - Cause\n     - What to do\n"
    )
    for cls in error_classes():
        builtin = [b.__name__ for b in cls.__bases__ if not issubclass(b, errors.LaharError)]
        builtin = [b for b in builtin if b != "Exception"]
        kind = f" ({', '.join(builtin)})" if builtin else ""
        cause = " ".join(inspect.getdoc(cls).split("\n\n")[0].split())
        text += f"   * - ``{cls.__name__}``{kind}\n     - {cause}\n     - {REPAIRS[cls.__name__]}\n"
    return text


def checks_page() -> str:
    """Return the table of findings, taken from the docstring of the module that looks for them."""
    text = title("Findings of check()")
    if importlib.util.find_spec("lahar.compiler.check") is None:
        return f":orphan:\n\n{text}This version does not check networks before they are compiled.\n"
    doc = inspect.getdoc(importlib.import_module("lahar.compiler.check"))
    table = re.search(r"^(=+ +=+.*?^=+ +=+ +=+$.*?^=+ +=+ +=+$)", doc, re.M | re.S).group(1)
    return (
        f"{text}``lahar.compiler.check(process, run_cfg)`` looks for mistakes in a network without running it. It "
        "returns a list of findings, each with a code, a severity, a place, a message and a hint.\n\n"
        f"{table}\n\n"
        "An error is certain. A warning is a doubt that the code of the models raises. An info is legal and often "
        "meant. Compiling raises errors, warns of doubts, and logs the rest.\n"
    )
