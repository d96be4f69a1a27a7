"""Networks written down as data: a JSON netlist and its arrays in one ``.npz`` file.

Keys of the netlist
-------------------
``tag``, ``steps`` (an int, or a list: consecutive runs), ``processes`` (``id``, ``class``, ``kwargs``),
``connections`` (source, destination, and optionally virtual ports applied to the source), ``algebra``
(statements with the ids as names), ``connect_vars`` or ``refs``, ``probes`` (recorded by a Monitor), ``gets``
and ``sets`` (in the pause after a step), ``after`` (read after every run), ``finals``, ``calls``, ``run`` (what
is run), ``proc_models``. Values: plain JSON, ``"@key"`` (an array of the file), ``$csr``, ``$rule``, ``$enum``,
``$tuple``.
"""

from __future__ import annotations

import itertools
import json
import operator
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

import lahar.processes
from lahar.compiler import Plan
from lahar.processes import AbstractProcess, Monitor, networks
from lahar.runtime import Loihi2SimCfg, RunSteps

from .phase_probe import PhaseProbe
from .rate_network import RateEINetwork
from .three_factor import RewardLIF

RECORDED = ("probe:", "final:", "get:", "after:", "call:")
OF_THE_TESTS = {
    "PhaseProbe": PhaseProbe,
    "RSTDPLIF": RewardLIF,
    "ThreeFactorLIF": RewardLIF,
    "tutorial.RSTDPLIF": RewardLIF,
    "tutorial.RateEINetwork": RateEINetwork,
}


@dataclass
class Netlist:
    """A network as data, and what the reference recorded of it."""

    case: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @classmethod
    def load(cls, path: Path) -> Netlist:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
        return cls(json.loads(str(arrays.pop("case"))), arrays)

    @property
    def expected(self) -> dict[str, np.ndarray]:
        return {key: value for key, value in self.arrays.items() if key.startswith(RECORDED)}

    @property
    def runs(self) -> list[int]:
        steps = self.case["steps"]
        return steps if isinstance(steps, list) else [steps]

    def value(self, written: Any) -> Any:
        """Return what a JSON value stands for."""
        if isinstance(written, str) and written.startswith("@"):
            return self.arrays[written[1:]]
        if isinstance(written, list):
            return [self.value(v) for v in written]
        if not isinstance(written, dict):
            return written
        kind = next(iter(written), "")
        content = written.get(kind)
        match kind:
            case "$tuple":
                return tuple(self.value(v) for v in content)
            case "$enum":
                name, member = content.split(".")
                return getattr(lahar.processes, name)[member]
            case "$rule":
                return getattr(lahar.processes, content["class"])(**self.value(content["kwargs"]))
            case "$csr":
                parts = (self.value(content[k]) for k in ("data", "indices", "indptr"))
                return csr_matrix(tuple(parts), shape=tuple(content["shape"]))
        return {key: self.value(v) for key, v in written.items()}


class Network:
    """The Processes of a netlist, built and connected."""

    def __init__(self, netlist: Netlist) -> None:
        self.netlist = netlist
        self.case = netlist.case
        self.members = {
            spec["id"]: _find_class(spec["class"])(**self._kwargs(spec)) for spec in self.case["processes"]
        }
        for statement in self.case.get("algebra", []):
            exec(statement, {}, self.members)
        self._references = self.case.get("connect_vars", []) + self.case.get("refs", [])
        for source, target in self._references:
            self.at(source).connect_var(self.at(target))
        for source, target, *virtual in self.case.get("connections", []):
            port = self.at(source)
            for method, *arguments in virtual[0] if virtual else []:
                port = getattr(port, method)(*map(tuple, arguments))
            port.connect(self.at(target))
        self.monitor = Monitor(name="monitor")
        for path in self.case.get("probes", []):
            self.monitor.probe(self.at(path), sum(netlist.runs))
        top = self.at(self.case.get("run") or self.case["processes"][0]["id"])
        while isinstance(top, networks.Network):
            top = top.main
        self.top: AbstractProcess = top

    def _kwargs(self, spec: dict[str, Any]) -> dict[str, Any]:
        kwargs = self.netlist.value(spec["kwargs"])
        return kwargs if spec["class"].startswith("networks.") else {"name": spec["id"], **kwargs}

    def at(self, path: str) -> Any:
        """Return the Process, Var or port at a path such as ``lif.v``."""
        name, _, inner = path.partition(".")
        member = self.members[name]
        return operator.attrgetter(inner)(member) if inner else member

    @property
    def size(self) -> int:
        """Number of Processes that can be placed apart: a RefPort and its Var stay together."""
        placed = (AbstractProcess, networks.Network)
        group = {name: name for name, member in self.members.items() if isinstance(member, placed)}
        for ends in self._references:
            first, second = (group[path.partition(".")[0]] for path in ends)
            group = {name: first if other == second else other for name, other in group.items()}
        return len(set(group.values()))

    def run_config(self, **options: Any) -> Loihi2SimCfg:
        models = {}
        for process_class, model in self.case.get("proc_models", {}).items():
            cls = _find_class(process_class)
            models[cls] = getattr(sys.modules[cls.__module__], model)
        return Loihi2SimCfg(select_tag=self.case["tag"], exception_proc_model_map=models, **options)

    def run(self, run_cfg: Loihi2SimCfg) -> Recording:
        """Run everything that the netlist asks for, stop the network, and return what it recorded."""
        try:
            return self._run(run_cfg)
        finally:
            self.top.stop()

    def _run(self, run_cfg: Loihi2SimCfg) -> Recording:
        case, found = self.case, {}
        after: dict[str, list[Any]] = {path: [] for path in case.get("after", [])}
        for steps, end in zip(self.netlist.runs, itertools.accumulate(self.netlist.runs), strict=True):
            self.top.run(RunSteps(steps), run_cfg)
            for step, path in case.get("gets", []):
                if step == end:
                    found[f"get:{step}:{path}"] = _dense(self.at(path).get())
            for path, values in after.items():
                values.append(_dense(self.at(path).get()))
            for step, path, value in case.get("sets", []):
                if step == end:
                    self.at(path).set(self.netlist.value(value))
        found |= {f"after:{path}": np.stack(values) for path, values in after.items()}
        found |= {f"final:{path}": _dense(self.at(path).get()) for path in case.get("finals", [])}
        found |= {f"call:{path}": self.at(path)() for path in case.get("calls", [])}
        data = self.monitor.get_data()
        for path in case.get("probes", []):
            target = self.at(path)
            found[f"probe:{path}"] = data[target.process.name][target.name]
        return Recording(found, self.top.runtime.plan)


@dataclass
class Recording:
    """What a network recorded, by the keys that the reference used, and the Plan by which it ran."""

    values: dict[str, Any]
    plan: Plan


def _find_class(name: str) -> type:
    if name in OF_THE_TESTS:
        return OF_THE_TESTS[name]
    if name.startswith("networks."):
        return getattr(networks, name.removeprefix("networks."))
    return getattr(lahar.processes, name)


def _dense(value: Any) -> Any:
    return value.toarray() if hasattr(value, "toarray") else value
