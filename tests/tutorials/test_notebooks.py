"""The notebooks after the first: each is executed as it is, and prints what its text says."""

import re
from dataclasses import dataclass
from pathlib import Path

import nbclient
import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "tutorials"


@dataclass
class Expected:
    """What the outputs of a notebook must contain.

    `prints` are parts of the standard output in this order; `errors` the classes of the errors that are
    caught and shown, in this order.
    """

    pictures: int
    prints: list[str]
    errors: list[str]


NOTEBOOKS = {
    "02_processes_and_models": Expected(
        pictures=1,
        prints=[
            "initial v, as it was given: -20.0",
            "No ProcessModel found for process 'neurons'",
            "after step 2: [0.01   0.5425 1.1   ]",
            "workers: 2",
            "spikes of each neuron: [1 2 4]",
            "euler     error after 10, 30, 60 steps, I = 1: [0.5215 0.1678 0.0696]",
            "midpoint  error after 10, 30, 60 steps, I = 1: [0.0566 0.0133 0.0045]",
            "{'weak': 'PyQIFEuler', 'strong': 'PyQIFMidpoint'}",
            "process:   faulty",
            "time step: 3",
        ],
        errors=["NoProcessModelFound", "CompileError", "ShapeError", "CompileError"],
    ),
    "03_execution_and_messages": Expected(
        pictures=0,
        prints=[
            "after 100 steps: [100] [5050] = 5050",
            "the same step everywhere: True",
            "nothing lost, nothing twice: True",
            "recorded: [ 1  3  6 10 15]",
            "total after 4 steps: [1010]",
            "Deadlock in time step 1, phase SPK",
            "ping.inp waits in recv() for pong.out",
            "The loop ping -> pong -> ping has no delay",
            "ping [33] pong [32]",
            "'quiet' has finished this phase without sending to listener.inp",
            "up to 1000 the longest is that of 871, with 178 steps",
            "'feeder' has ended its run",
            "it ticked: True\nand went on: True",
        ],
        errors=["StateError", "StateError", "ValidationError"],
    ),
    "04_connections": Expected(
        pictures=2,
        prints=[
            "graded: [[  0.  30.   0. -20.]]",
            "mixed signs     [   0   -2    2 -100  254]",
            "'too_large': 1 of 5 weights are outside",
            "same bits: True",
            "right ear 4 steps later: neuron 7 fires",
            "the same over two OS processes: True",
            "-> [0.0, 0.0]",
            "-> [1.0, 1.0]",
            "neuron 0 fires in the steps [ 1 11 21 31]",
        ],
        errors=[
            "ShapeError",
            "ValidationError",
            "ValidationError",
            "ArgumentTypeError",
            "DuplicateConnectionError",
        ],
    ),
    "05_hierarchy": Expected(
        pictures=1,
        prints=[
            "first.rivalry (Dense)",
            "partition 1: ",
            "weights through the alias: True",
            "spikes without inhibition: [50. 43. 38. 49. 50.]",
            "spikes with inhibition:    [23. 14.  3. 25. 25.]",
        ],
        errors=["StateError", "ShapeError"],
    ),
    "06_remote_memory": Expected(
        pictures=1,
        prints=[
            "workers: 2",
            "spikes in the last 50 steps:  [5. 5. 5.]",
            "[20. 20. 20. 20.]]\nafter the last reset: [0. 0.]",
            "[101]\n[103]\n[106]\n[110]",
        ],
        errors=["VarNotSharableError", "ShapeError", "PortError", "PortError"],
    ),
    "07_learning_rules": Expected(
        pictures=2,
        prints=[
            "-1 * 2^-5 * u4 * w",
            "Hebbian STDP: lag -10 -5.8861, lag 0 +0.0000, lag 10 +5.8861",
            "Mexican hat: lag -10 -1.8960, lag 0 +16.0000",
            "at the end: 256.4 and 51.3",
            "same bits: True",
            "tag: 1.635, weight: 5.0",
        ],
        errors=["RuleError"] * 5,
    ),
    "08_reward": Expected(
        pictures=2,
        prints=[
            "workers: 2",
            "weights at the end: [111.054  50.    -11.054]",
            "one partition, same bits: True",
            "fading 0.25: follows the curve: True",
            "fading 0.125: follows the curve: True",
            "fading 0.0625: follows the curve: True",
            "weights at the end: [112.54  50.   -12.54]",
        ],
        errors=[],
    ),
    "09_sigma_delta": Expected(
        pictures=3,
        prints=[
            "error below threshold: True",
            "multiplications: ",
            "int32 [  0   0  37  37",
            " 8 bits: too large in step 12\n 9 bits: fits",
        ],
        errors=[],
    ),
    "10_excitation_and_inhibition": Expected(
        pictures=3,
        prints=[
            "'network.neurons' (LIF) has no model with tag 'spikes'",
            "no coupling: 0.0329 spikes per neuron and step, irregularity 0.00",
            "strong coupling: 0.0451 spikes per neuron and step, irregularity 0.44",
            "irregularity grows all the way: True",
            "settled: True, restless: True",
            "same bits: True",
        ],
        errors=["CompileError"],
    ),
    "11_adaptive_and_resonating_neurons": Expected(
        pictures=2,
        prints=[
            "143\n 150 158 188 204",
            "period  9.5 answers intervals [9, 10]",
            "two partitions, same counts: True",
        ],
        errors=[],
    ),
    "12_vector_algebra": Expected(
        pictures=1,
        prints=[
            "[[  0   0 984   0]\n [  0   0 171   0]]",
            "exact: [68. 44.]",
            "[  30 -100  210]",
            "shrinks per step by 0.9898",
            "[0 0 0 0 0 0 5 0]]",
            "matched_delays=True:",
            "0.8",
        ],
        errors=["ShapeError", "TypeError", "ArgumentTypeError"],
    ),
    "13_exchange_with_a_running_network": Expected(
        pictures=1,
        prints=[
            "sent [5, 6] received [3. 4. 7.]",
            "position at the end: 0.40 (held), 19.00 (free)",
            "5.217, 5.695, 0.0, 1.0, 1.9, 2.71]",
            "zeros, one at a time [1.0, 2.0, 4.0, 0.0, 0.0]",
            "zeros, all at once   [7.0, 0.0, 0.0, 0.0, 0.0]",
        ],
        errors=["UnstartedError", "ShapeError", "StateError"],
    ),
    "14_images": Expected(
        pictures=1,
        prints=[
            "shape of the output: (24, 24, 2)  spikes: [35. 24.]",
            "matrix: (72, 36)  different numbers: [-2. -1.  0.  1.  2.]",
            "same answer: True",
            "{'stride': (2, 1), 'padding': (1, 0)} (12, 22, 2)",
        ],
        errors=["ShapeError", "ShapeError", "ValidationError"],
    ),
    "15_saving_and_loading": Expected(
        pictures=1,
        prints=[
            "['halfway.pickle']",
            "loaded neuron and synapses without a plan\nsame bits as without a pause: True",
            "names: neuron neuron",
            "that were added: [24 24 24]",
            "same bits: True",
            "['Countdown [7]']",
            "fires in steps [ 5 11 14 19 22 30]",
        ],
        errors=[
            "StateError",
            "ArgumentTypeError",
            "UnpicklableError",
            "MissingFileError",
            "DamagedFileError",
        ],
    ),
    "16_prototype_learning": Expected(
        pictures=3,
        prints=[
            "names: [3 2 1 0]",
            "answers to kind 0: [-3 -3 -3  1  1  1  1  1  1]",
            "one partition, same bits: True",
            "nobody fires below a cosine of 0.81",
            "prototypes: 23 of 100 images",
            "accuracy with all ten classes 0.70",
        ],
        errors=[],
    ),
    "17_digits": Expected(
        pictures=2,
        prints=[  # training gives other weights where the libraries are others
            "units read more than 85 % of the test images: True",
            "labels came in order: True",
            "more than 80 %: True",
            "one partition, same answers: True",
            "2560 time steps: where the time goes",
            "answers (Answers)",
            "spikes per neuron and step",
        ],
        errors=[],
    ),
}


@pytest.fixture
def plain_environment(monkeypatch):
    """Unset what would spread or launch networks differently."""
    for variable in ("LAHAR_PARTITIONS", "LAHAR_SYNC", "LAHAR_LAUNCHER"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook(plain_environment, tmp_path, name):
    expected = NOTEBOOKS[name]
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # none are stored
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()  # raises if a cell does
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
    assert (
        sum(o.output_type == "display_data" and "image/png" in o.data for o in outputs) == expected.pictures
    )
    position = 0
    for part in expected.prints:
        found = text.find(part, position)
        assert found >= 0, f"{part!r} is missing after {text[max(0, position - 300) : position]!r}"
        position = found
    assert re.findall(r"^(\w+(?:Error|Found)): ", text, re.M) == expected.errors
    assert not list(tmp_path.iterdir())  # nothing is left behind


def test_every_notebook_is_tested():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {"01_stdp", *NOTEBOOKS}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)#:]+\.\w+)\)", prose):
        assert (FOLDER / target).exists(), target
