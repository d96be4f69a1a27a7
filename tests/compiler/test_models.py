"""Which ProcessModels are candidates for a Process, where they are looked for, and which is chosen."""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from lahar.compiler import RunConfig, models
from lahar.compiler.models import find_models, select_model
from lahar.processes import LIF, AbstractProcess, Dense, InPort, Monitor, OutPort, SinkRingBuffer, Var
from lahar.processes.errors import ArgumentTypeError, CompileError, LaharWarning, NoProcessModelFound
from lahar.processes.model import (
    AbstractProcessModel,
    AbstractSubProcessModel,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    tag,
)
from lahar.runtime import Loihi2SimCfg, RunSteps

_numbers = itertools.count()

PROCESS = """
    import numpy as np
    from lahar.processes import AbstractProcess, Var
    class Cell(AbstractProcess):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.x = Var((1,), 0)
"""
MODEL = """
    import numpy as np
    from lahar.processes.model import LavaPyType, LoihiProtocol, PyLoihiProcessModel, implements, tag
    from {module} import Cell
    @implements(proc=Cell, protocol=LoihiProtocol)
    class {name}(PyLoihiProcessModel):
        x: np.ndarray = LavaPyType(np.ndarray, float)
        def run_spk(self):
            self.x += {step}
"""


def inline(**kwargs):
    return Loihi2SimCfg(launcher="inline", **kwargs)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write modules below a directory that is on the path; ``PKG`` stands for a new name."""
    package = f"volcano{next(_numbers)}"
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)

    def write(files):
        for name, text in files.items():
            path = (tmp_path / name.replace("PKG", package)).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).replace("PKG", package))
        importlib.invalidate_caches()
        return package

    yield write
    for name in set(sys.modules) - known:
        if name.startswith("volcano"):
            del sys.modules[name]


def model_text(name, step=1, module="PKG.cells"):
    return MODEL.format(name=name, step=step, module=module)


def names(process_class):
    return [m.__name__ for m in find_models(process_class)]


# --- candidates ---------------------------------------------------------------------------


class Plain(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.x = Var((1,), 0)


@implements(proc=Plain, protocol=LoihiProtocol)
class ZuluModel(PyLoihiProcessModel):
    x: np.ndarray = LavaPyType(np.ndarray, float)


@tag("special")
class AlphaModel(ZuluModel):
    """An undecorated subclass would be a candidate too."""


class Derived(Plain):
    """Has no model of its own."""


def test_candidates_of_a_module_come_in_the_order_of_their_definition():
    assert find_models(Plain) == [ZuluModel, AlphaModel]


def test_models_of_a_base_class_do_not_serve_a_derived_process():
    assert find_models(Derived) == []


def test_library_processes_have_their_models():
    assert {"PyLifModelFloat", "PyLifModelBitAcc"} <= set(names(LIF))
    assert names(Monitor) == ["MonitorModel"]


class Sized(AbstractProcess):
    def __init__(self, size):
        super().__init__(size=size, name="sized")


@implements(proc=Sized, protocol=LoihiProtocol)
class SmallModel(PyLoihiProcessModel):
    @classmethod
    def suits(cls, process):
        return process.proc_params["size"] < 3


@implements(proc=Sized, protocol=LoihiProtocol)
class MediumModel(PyLoihiProcessModel):
    @classmethod
    def suits(cls, process):
        return process.proc_params["size"] < 9


def test_only_models_that_suit_the_process_are_chosen():
    assert select_model(Sized(1), Loihi2SimCfg()) is SmallModel
    assert select_model(Sized(5), Loihi2SimCfg(select_tag="fixed_pt")) is MediumModel
    with pytest.raises(
        NoProcessModelFound, match=r"'sized' \(Sized\): none of its models \(SmallModel, MediumModel\)"
    ):
        select_model(Sized(10), Loihi2SimCfg())
    forced = Loihi2SimCfg(exception_proc_model_map={Sized: SmallModel})
    assert select_model(Sized(10), forced) is SmallModel


def test_models_in_other_modules_of_the_package_are_imported_and_found(write):
    package = write(
        {
            "PKG/__init__": "",
            "PKG/cells": PROCESS,
            "PKG/models": model_text("CellModel", step=3),
        }
    )
    cell = importlib.import_module(f"{package}.cells").Cell(name="cell")
    assert f"{package}.models" not in sys.modules
    cell.run(RunSteps(2), inline())
    cell.stop()
    assert cell.x.get().tolist() == [6]
    assert cell.model_class.__name__ == "CellModel"


def test_own_module_first_then_the_others_in_alphabetical_order(write):
    own = PROCESS + model_text("ZModel", module="lahar.processes").replace("import Cell", "import LIF")
    package = write(
        {
            "PKG/__init__": "",
            "PKG/cells": own,
            "PKG/zebra": model_text("AModel"),
            "PKG/ant": model_text("YModel") + model_text("BModel"),
        }
    )
    assert names(importlib.import_module(f"{package}.cells").Cell) == ["ZModel", "YModel", "BModel", "AModel"]


def test_the_order_does_not_depend_on_the_order_of_imports(write):
    package = write(
        {
            "PKG/__init__": "",
            "PKG/cells": PROCESS,
            "PKG/zebra": model_text("ZebraModel"),
            "PKG/ant": model_text("AntModel"),
        }
    )
    importlib.import_module(f"{package}.zebra")
    assert names(importlib.import_module(f"{package}.cells").Cell) == ["AntModel", "ZebraModel"]


def test_packages_without_init_file_are_packages_too(write):
    package = write({"PKG/cells": PROCESS, "PKG/models": model_text("CellModel")})
    assert names(importlib.import_module(f"{package}.cells").Cell) == ["CellModel"]


def test_modules_of_a_package_are_executed_once(write):
    package = write(
        {
            "PKG/__init__": "runs = []",
            "PKG/cells": PROCESS,
            "PKG/models": "import PKG\nPKG.runs.append(1)\n" + textwrap.dedent(model_text("CellModel")),
        }
    )
    cell = importlib.import_module(f"{package}.cells").Cell
    find_models(cell)
    find_models(cell)
    assert sys.modules[package].runs == [1]


def test_main_modules_and_sub_packages_are_not_imported(write):
    package = write(
        {
            "PKG/__init__": "",
            "PKG/cells": PROCESS + model_text("CellModel").replace("from PKG.cells import Cell", ""),
            "PKG/__main__": "raise SystemExit('Cell')",
            "PKG/deeper/__init__": "raise SystemExit('Cell')",
        }
    )
    assert names(importlib.import_module(f"{package}.cells").Cell) == ["CellModel"]


def test_modules_that_do_not_mention_the_process_are_not_executed(write):
    package = write(
        {
            "PKG/__init__": "",
            "PKG/cells": PROCESS,
            "PKG/tool": "raise SystemExit('executed')",
            "PKG/models": model_text("CellModel"),
        }
    )
    assert names(importlib.import_module(f"{package}.cells").Cell) == ["CellModel"]
    assert f"{package}.tool" not in sys.modules


def test_a_module_that_cannot_be_imported_is_named_in_a_warning(write):
    package = write(
        {
            "PKG/__init__": "",
            "PKG/cells": PROCESS,
            "PKG/broken": "from a_module_that_does_not_exist import Cell",
            "PKG/models": model_text("CellModel"),
        }
    )
    cell = importlib.import_module(f"{package}.cells").Cell
    with pytest.warns(
        LaharWarning, match=rf"module {package}\.broken cannot be imported.*a_module_that_does"
    ):
        assert names(cell) == ["CellModel"]


def test_neighbours_of_a_top_level_module_are_not_imported(write):
    write(
        {
            "PKGcells": PROCESS,
            "PKGscript": "raise SystemExit('Cell')",
            "PKGmodels": model_text("CellModel", module="PKGcells"),
        }
    )
    name = f"volcano{next(_numbers) - 1}"
    cell = importlib.import_module(f"{name}cells").Cell
    assert names(cell) == []
    importlib.import_module(f"{name}models")
    assert names(cell) == ["CellModel"]


def test_models_in_unrelated_modules_count_only_where_there_are_no_others(write):
    package = write(
        {
            "PKG/__init__": "",
            "PKG/cells": PROCESS,
            "PKG/models": model_text("NearModel"),
            "PKGaway": model_text("FarModel"),
        }
    )
    importlib.import_module(f"{package}away")
    cell = importlib.import_module(f"{package}.cells").Cell
    assert names(cell) == ["NearModel"]


def test_classes_defined_inside_a_function():
    class Local(AbstractProcess):
        def __init__(self):
            super().__init__()
            self.x = Var((1,), 0)

    @implements(proc=Local, protocol=LoihiProtocol)
    class LocalModel(PyLoihiProcessModel):
        x: np.ndarray = LavaPyType(np.ndarray, float)

        def run_spk(self):
            self.x += 1

    process = Local()
    process.run(RunSteps(3), inline())
    process.stop()
    assert process.x.get().tolist() == [3]


def test_a_class_defined_anew_replaces_the_older_one():
    def define(step):
        @implements(proc=Local, protocol=LoihiProtocol)
        class Model(PyLoihiProcessModel):
            x: np.ndarray = LavaPyType(np.ndarray, float)

            def run_spk(self):
                self.x += step

        return Model

    class Local(AbstractProcess):
        def __init__(self):
            super().__init__()
            self.x = Var((1,), 0)

    older, newer = define(1), define(10)
    assert find_models(Local) == [newer]
    assert older is not newer


def test_a_module_that_is_executed_anew_leaves_no_old_models(write):
    package = write(
        {
            "PKGcells": PROCESS + model_text("CellModel").replace("from PKG.cells import Cell", ""),
        }
    )
    module = importlib.import_module(f"{package}cells")
    old = module.CellModel
    module = importlib.reload(module)
    assert find_models(module.Cell) == [module.CellModel]
    assert module.CellModel is not old


# --- scripts ------------------------------------------------------------------------------

SCRIPT = """
    import sys
    print("executed", flush=True)
    import numpy as np
    from lahar.processes import AbstractProcess, Var
    from lahar.processes.model import LavaPyType, LoihiProtocol, PyLoihiProcessModel, implements
    from lahar.runtime import Loihi2SimCfg, RunSteps
    class Cell(AbstractProcess):
        def __init__(self):
            super().__init__()
            self.x = Var((1,), 0)
    @implements(proc=Cell, protocol=LoihiProtocol)
    class CellModel(PyLoihiProcessModel):
        x: np.ndarray = LavaPyType(np.ndarray, float)
        def run_spk(self):
            self.x += 1
    cell = Cell()
    cell.run(RunSteps(5), Loihi2SimCfg(launcher=sys.argv[1], partitions=1))
    print("result", *cell.x.get(), flush=True)
    cell.stop()
"""


@pytest.mark.parametrize("launcher", ["inline", "local"])
def test_a_script_without_main_guard_is_executed_once(tmp_path, launcher):
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    (tmp_path / "sibling.py").write_text("print('sibling executed')\n")
    done = subprocess.run(
        [sys.executable, "script.py", launcher],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["executed", "result 5.0", ""]


# --- selection ----------------------------------------------------------------------------


class AnyModel(RunConfig):
    """Returns what it was told."""

    def __init__(self, model):
        super().__init__(launcher="inline")
        self.model = model

    def select(self, process, proc_models):
        return self.model


@pytest.mark.parametrize("returned", [None, 3, "PlainModel", Plain, int])
def test_select_must_return_a_model(returned):
    with pytest.raises(
        ArgumentTypeError, match=r"AnyModel\.select\(\) returned .* for process 'it': not a ProcessModel"
    ):
        select_model(Plain(name="it"), AnyModel(returned))


def test_select_must_return_a_model_that_can_be_run():
    class Strange(AbstractProcessModel):
        pass

    with pytest.raises(
        CompileError, match="Process 'it': Strange is neither a Python model nor a sub-process model"
    ):
        select_model(Plain(name="it"), AnyModel(Strange))


def test_a_user_may_select():
    assert select_model(Plain(), AnyModel(AlphaModel)) is AlphaModel


def test_select_gets_the_process_and_its_candidates():
    seen = []

    class Curious(RunConfig):
        def select(self, process, proc_models):
            seen.append((process, list(proc_models)))
            return proc_models[-1]

    process = Plain()
    assert select_model(process, Curious(launcher="inline")) is AlphaModel
    assert seen == [(process, [ZuluModel, AlphaModel])]


def test_the_base_run_config_selects_nothing():
    with pytest.raises(
        CompileError, match=r"RunConfig does not define select\(\), so none of ZuluModel, AlphaModel"
    ):
        select_model(Plain(name="it"), RunConfig(launcher="inline"))


def test_an_exception_for_an_instance_wins_and_needs_no_candidate():
    one, other, derived = Plain(), Plain(), Derived()
    config = inline(exception_proc_model_map={one: AlphaModel, Plain: ZuluModel, derived: ZuluModel})
    assert select_model(one, config) is AlphaModel
    assert select_model(other, config) is ZuluModel
    assert select_model(derived, config) is ZuluModel


def test_an_exception_for_a_class_needs_a_candidate():
    with pytest.raises(NoProcessModelFound):
        select_model(Derived(), inline(exception_proc_model_map={Derived: ZuluModel}))


def test_an_exception_for_a_class_does_not_serve_derived_classes():
    class Child(Plain):
        pass

    @implements(proc=Child, protocol=LoihiProtocol)
    class ChildModel(PyLoihiProcessModel):
        x: np.ndarray = LavaPyType(np.ndarray, float)

    assert select_model(Child(), inline(exception_proc_model_map={Plain: AlphaModel})) is ChildModel


def test_no_model_says_where_was_searched_and_what_to_do():
    class Lonely(AbstractProcess):
        pass

    with pytest.raises(NoProcessModelFound) as caught:
        select_model(Lonely(name="solo"), inline())
    text = str(caught.value)
    assert "No ProcessModel found for process 'solo'" in text
    assert f"{__name__}.test_no_model_says_where_was_searched_and_what_to_do.<locals>.Lonely" in text
    assert f"Searched: module {__name__}" in text
    assert "no imported class comes near" in text
    assert "@implements(proc=Lonely" in text


def test_no_model_lists_the_models_of_base_classes():
    with pytest.raises(NoProcessModelFound) as caught:
        select_model(Derived(name="it"), inline())
    assert "ZuluModel implements Plain, not Derived" in str(caught.value)
    assert "AlphaModel implements Plain, not Derived" in str(caught.value)


def test_no_model_names_models_of_a_class_of_the_same_name():
    def define(with_model):
        class Twin(AbstractProcess):
            pass

        if with_model:

            @implements(proc=Twin, protocol=LoihiProtocol)
            class TwinModel(PyLoihiProcessModel):
                pass

        return Twin

    first, second = define(True), define(False)
    assert names(first) == ["TwinModel"]
    with pytest.raises(
        NoProcessModelFound, match=r"TwinModel \(in \S+\) implements another class of the name Twin"
    ):
        select_model(second(), inline())


def test_siblings_of_library_packages_are_not_imported(monkeypatch):
    imported = []
    monkeypatch.setattr(models, "_import_siblings", lambda *args: imported.append(args))
    find_models(LIF)
    find_models(Dense)
    assert imported == []


# --- hierarchical models among the candidates ---------------------------------------------


class Relay(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((1,))
        self.o = OutPort((1,))


@implements(proc=Relay, protocol=LoihiProtocol)
@tag("floating_pt")
class PyRelayModel(PyLoihiProcessModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def run_spk(self):
        self.o.send(self.i.recv() + 1)


@implements(proc=Relay, protocol=LoihiProtocol)
class SubRelayModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.first = Relay()
        self.second = Relay()
        proc.i.connect(self.first.i)
        self.first.o.connect(self.second.i)
        self.second.o.connect(proc.o)


def test_a_process_may_have_leaf_and_sub_models():
    relay, sink = Relay(), SinkRingBuffer(shape=(1,), buffer=1)
    relay.o.connect(sink.a_in)
    deep = Loihi2SimCfg(launcher="inline", exception_proc_model_map={relay: SubRelayModel})
    for config, expected in ((inline(), 1), (deep, 2)):
        relay.create_runtime(config)
        relay.run(RunSteps(1))
        relay.stop()
        assert sink.data.get().tolist() == [[expected]]
