"""The tutorials and the example in the README, run as a reader would run them."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tutorials" / "stdp.py"
NOTEBOOK = ROOT / "tutorials" / "01_stdp.ipynb"

# The weight after the time steps in which it changed; from an independent implementation of the rule.
WEIGHTS = {
    "floating_pt": {
        76: 33.135991,
        84: 41.081356,
        104: 42.054317,
        120: 35.762937,
        124: 49.023458,
        132: 54.981794,
        188: 54.904580,
        192: 66.771036,
        196: 57.031851,
    },
    "fixed_pt": {76: 32, 84: 38, 104: 41, 120: 35, 124: 48, 132: 56, 192: 66, 196: 57},
}
PRE = [75, 119, 187, 195]
POST = [41, 59, 73, 80, 82, 101, 103, 121, 129, 190]


@pytest.fixture
def plain_environment(monkeypatch):
    """Unset what would spread or launch networks differently."""
    for variable in ("LAHAR_PARTITIONS", "LAHAR_SYNC", "LAHAR_LAUNCHER"):
        monkeypatch.delenv(variable, raising=False)
    return monkeypatch


def run_python(*arguments, cwd, expected=0):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done


def printed_weights(text):
    rows = re.findall(r"^ +(\d+) +(-?[\d.]+) +[+-][\d.]+ *$", text, re.M)
    return {int(step): float(weight) for step, weight in rows}


def printed_pids(text):
    return {int(part): int(pid) for part, pid in re.findall(r"^ +(\d+) +(\d+) +\w+ \(\w+\) *$", text, re.M)}


def png_size(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
@pytest.mark.parametrize("partitions", [1, 2])
def test_script(plain_environment, tmp_path, tag, partitions):
    done = run_python(SCRIPT, "--partitions", partitions, "--tag", tag, "--out", "figure.png", cwd=tmp_path)
    assert printed_weights(done.stdout) == WEIGHTS[tag]
    assert "rng_seed 1959667321" in done.stdout
    assert f"in {partitions} partition(s)" in done.stdout
    assert "200/200" in done.stderr  # the progress bar
    pids = printed_pids(done.stdout)
    assert sorted(pids) == list(range(partitions))
    assert len(set(pids.values())) == partitions
    for name in ("lif_pre", "lif_post", "plastic_dense", "monitor_weights"):
        assert done.stdout.count(f"{name} (") == 1
    crossing = re.findall(r"^ (\w+\.\w+ -> \w+\.\w+) +(\d+) +(\d+) *$", done.stdout, re.M)
    if partitions == 1:
        assert not crossing
        assert "No channel crosses" in done.stdout
    else:
        assert crossing
        assert all(int(messages) == 200 and int(size) > 0 for _, messages, size in crossing)
    assert re.search(r"Wall time [\d.]+ s: compile .* start workers .* run .* stop workers", done.stdout)
    assert png_size(tmp_path / "figure.png") == (1875, 1080)
    assert png_size(tmp_path / "figure_plan.png") == (1875, 675)
    assert {p.name for p in tmp_path.iterdir()} == {"figure.png", "figure_plan.png"}


@pytest.mark.parametrize("sync", ["lockstep", "elastic"])
def test_script_sync(plain_environment, tmp_path, sync):
    done = run_python(SCRIPT, "--partitions", 3, "--sync", sync, cwd=tmp_path)
    assert printed_weights(done.stdout) == WEIGHTS["floating_pt"]
    assert f"sync {sync}" in done.stdout
    assert {p.name for p in tmp_path.iterdir()} == {"stdp.png", "stdp_plan.png"}


def test_script_obeys_the_environment(plain_environment, tmp_path):
    plain_environment.setenv("LAHAR_PARTITIONS", "4")
    done = run_python(SCRIPT, cwd=tmp_path)
    assert len(set(printed_pids(done.stdout).values())) == 4


def test_script_without_any_weight_change(plain_environment, tmp_path):
    done = run_python(SCRIPT, "--steps", 50, "--partitions", 2, cwd=tmp_path)
    assert "The weight did not change in 50 time steps." in done.stdout
    assert png_size(tmp_path / "stdp.png") == (1875, 1080)


def test_script_repeats_the_spike_trains_in_a_longer_run(plain_environment, tmp_path):
    done = run_python(SCRIPT, "--steps", 300, "--partitions", 1, cwd=tmp_path)
    weights = printed_weights(done.stdout)
    assert {t: w for t, w in weights.items() if t <= 200} == WEIGHTS["floating_pt"]
    assert max(weights) > 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", 0], "positive integer"),
        (["--partitions", "many"], "'auto' or a positive integer expected, not 'many'"),
        (["--out", "nowhere/stdp.png"], "there is no directory nowhere"),
    ],
)
def test_script_refuses(plain_environment, tmp_path, arguments, message):
    done = run_python(SCRIPT, *arguments, cwd=tmp_path, expected=2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_notebook(plain_environment, tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # none are stored
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()  # raises if a cell does
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
    pictures = [o for o in outputs if o.output_type == "display_data" and "image/png" in o.data]
    assert len(pictures) == 7

    assert "rng_seed = 1959667321" in text
    own = re.search(r"this notebook is OS process (\d+)", text).group(1)
    workers = re.findall(r"partition \d was OS process (\d+)", text)
    assert len({own, *workers}) == 3
    arrived = dict(re.findall(r"^(pre|post) fired at +\[(.*)\]$", text, re.M))
    assert [int(k) for k in arrived["pre"].split()] == PRE
    assert [int(k) for k in arrived["post"].split()] == POST
    assert "y1 at steps 80, 83, 84: [11.304283 27.304283 32.780007]" in text
    changes = re.findall(r"^step +(\d+): weight ([\d.]+)", text, re.M)
    assert {int(t): float(weight) for t, weight in changes} == WEIGHTS["floating_pt"]
    assert "the rule explains every change: True" in text
    assert "same spikes in both: True" in text
    assert f"fixed-point weight: {list(WEIGHTS['fixed_pt'].values())}" in text
    assert text.count("same bits: True") == 4
    assert "same bits: False" not in text
    assert "workers: 3" in text
    assert float(re.search(r"largest distance from the curve: (\S+)", text).group(1)) < 1e-12


def test_readme_example(plain_environment, tmp_path):
    section = (ROOT / "README.md").read_text().split("## An example")[1].split("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```", section, re.M | re.S)
    (expected,) = re.findall(r"^```text\n(.*?)^```", section, re.M | re.S)
    script = tmp_path / "example.py"
    script.write_text(code)
    assert run_python(script, cwd=tmp_path).stdout == expected


def test_readme_links():
    targets = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert targets
    assert not [t for t in targets if not (ROOT / t).exists()]
