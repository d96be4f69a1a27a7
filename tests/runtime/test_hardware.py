"""slurm, loihi and system: what they say without a cluster and without hardware, and with a pretended one."""

import os
import stat

import pytest

from lahar.processes import LIF
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ValidationError
from lahar.runtime import Loihi2SimCfg, RunSteps, loihi, slurm, system

VARIABLES = ("SLURM", "NOSLURM", "PARTITION", "BOARD", "LOIHI_GEN", "NXSDKHOST", "HOST_BINARY")
PARTITIONS = """PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST
small*       up   infinite      2   idle b[1-2]
large        up 1-00:00:00      1  down* b3
large        up 1-00:00:00      1   idle b4
old        down   infinite      1   idle b5

"""
NODES = """NODELIST   NODES PARTITION STATE
b1             1    small* idle
b1             1     large idle
b3             1     large down*

"""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch, tmp_path):
    """No variable is set, no command exists, and nothing was chosen; all is undone afterwards."""
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "")  # so that it is restored
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(loihi, "host", None)
    monkeypatch.setattr(system.Loihi2, "preferred_partition", None)


@pytest.fixture
def command(tmp_path):
    """Make a command that runs a script of the shell."""

    def make(name, script):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return make


@pytest.fixture
def cluster(command):
    command("sinfo", f'if [ "$1" = -N ]; then echo "{NODES}"; else echo "{PARTITIONS}"; fi')


@pytest.fixture
def hardware(monkeypatch):
    monkeypatch.setattr(loihi, "HARDWARE", "json")  # any module that exists


# --- without a cluster ------------------------------------------------------------------------


def test_without_slurm_there_is_nothing():
    assert not slurm.is_available()
    assert slurm.get_partitions() == slurm.get_boards() == []
    assert slurm.get_partition_info("small") is None
    assert slurm.get_board_info("b1") is None
    assert slurm.partition() == "Unspecified"
    with pytest.raises(ValidationError, match="no Slurm cluster"):
        slurm.enable()
    with pytest.raises(ValidationError, match="no partition 'small'; known: none"):
        slurm.set_partition("small")
    with pytest.raises(ValidationError, match="no board 'b1'; known: none"):
        slurm.set_board("b1")
    assert not set(VARIABLES) & set(os.environ)


@pytest.mark.parametrize("script", ["exit 1", "echo PARTITION; exit 3", "kill -STOP $$", "echo"])
def test_a_command_that_fails_or_hangs_is_no_cluster(command, script, monkeypatch):
    monkeypatch.setattr(slurm, "_PATIENCE", 0.2)
    command("sinfo", script)
    assert slurm.get_partitions() == []
    assert not slurm.is_available()


def test_output_that_is_no_text_does_no_harm(command):
    command("sinfo", r"printf 'a\377b c d e f g\n'")
    assert [info.available for info in slurm.get_partitions()] == ["c"]


# --- with one -----------------------------------------------------------------------------------


def test_partitions_are_listed(cluster):
    assert slurm.is_available()
    infos = slurm.get_partitions()
    assert [info.name for info in infos] == ["small", "large", "large", "old"]
    assert infos[0] == slurm.PartitionInfo("small", "up", "infinite", "2", "idle", "b[1-2]")
    assert slurm.get_partition_info("large").state == "down*"
    assert slurm.get_partition_info("none") is None


def test_boards_are_listed(cluster):
    assert slurm.get_boards() == [
        slurm.BoardInfo("b1", "small", "idle"),
        slurm.BoardInfo("b1", "large", "idle"),
        slurm.BoardInfo("b3", "large", "down*"),
    ]
    assert slurm.get_board_info("b1").partition == "small"
    assert slurm.get_board_info("b9") is None


def test_choices_are_environment_variables(cluster, monkeypatch):
    monkeypatch.setenv("NOSLURM", "1")
    slurm.enable()
    assert os.environ["SLURM"] == "1"
    assert "NOSLURM" not in os.environ
    slurm.set_partition("large")  # some of its nodes are up
    assert slurm.partition() == "large"
    slurm.set_board("b1", "large")
    assert os.environ["BOARD"] == "b1"
    slurm.set_partition(None)
    slurm.set_board(None)
    assert not {"PARTITION", "BOARD"} & set(os.environ)
    slurm.disable()
    assert os.environ["NOSLURM"] == "1"
    assert "SLURM" not in os.environ


def test_impossible_choices_are_refused(cluster):
    for choose, message in [
        (lambda: slurm.set_partition("huge"), "no partition 'huge'; known: small, large, old"),
        (lambda: slurm.set_partition("old"), r"partition 'old' is down \(state idle, down\)"),
        (lambda: slurm.set_board("b9"), "no board 'b9'; known: b1, b3"),
        (lambda: slurm.set_board("b3"), "board 'b3' is down"),
        (lambda: slurm.set_board("b1", "old"), "'b1' belongs to small, large, not to partition 'old'"),
    ]:
        with pytest.raises(ValidationError, match=message):
            choose()
    assert not set(VARIABLES) & set(os.environ)


def test_lines_of_a_command(command):
    command("two", "echo one; echo; echo three")
    assert slurm.try_run_command(["two"]) == ["one", "", "three"]
    assert slurm.try_run_command(["none"]) == []


# --- hardware -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choose",
    [loihi.use_slurm_host, lambda: loihi.use_ethernet_host("board.example")],
    ids=["slurm", "ethernet"],
)
def test_without_hardware_a_script_goes_on_and_simulates(choose):
    with pytest.warns(LaharWarning, match=r"no package lahar\.loihi2 .* simulated") as warned:
        assert choose() is False
    assert warned[0].filename == __file__
    assert loihi.host is None
    assert not set(VARIABLES) & set(os.environ)
    lif = LIF(shape=(1,), bias_mant=1)
    with lif:
        lif.run(RunSteps(1), Loihi2SimCfg(launcher="inline"))


def test_what_is_installed():
    assert not loihi.is_installed()
    assert loihi.is_installed("json")
    assert not loihi.is_installed("no_package.at_all")
    assert not loihi.is_installed(".relative")


def test_a_cluster_with_hardware(hardware, cluster):
    assert loihi.use_slurm_host(partition="large", board="b1", loihi_gen=loihi.ChipGeneration.N3C1) is True
    assert loihi.host == "SLURM"
    chosen = {name: os.environ[name] for name in ("SLURM", "PARTITION", "BOARD", "LOIHI_GEN")}
    assert chosen == {"SLURM": "1", "PARTITION": "large", "BOARD": "b1", "LOIHI_GEN": "N3C1"}


def test_hardware_without_slurm_is_an_error(hardware):
    with pytest.raises(ValidationError, match="no Slurm"):
        loihi.use_slurm_host()
    assert loihi.host is None


def test_hardware_at_an_address(hardware, command):
    with pytest.raises(ValidationError, match=r"'board\.example' does not answer to ping"):
        loihi.use_ethernet_host("board.example")  # there is no ping
    command("ping", '[ "$4" = board.example ]')
    with pytest.raises(ValidationError, match="does not answer"):
        loihi.use_ethernet_host("other.example")
    assert loihi.use_ethernet_host("board.example", "driver") is True
    assert loihi.host == "ETHERNET"
    chosen = {name: os.environ[name] for name in ("NOSLURM", "NXSDKHOST", "HOST_BINARY", "LOIHI_GEN")}
    assert chosen == {
        "NOSLURM": "1",
        "NXSDKHOST": "board.example",
        "HOST_BINARY": "driver",
        "LOIHI_GEN": "N3B3",
    }


def test_chips_are_named_as_they_are_called():
    assert [chip.value for chip in loihi.ChipGeneration] == ["N2A2", "N3B2", "N3B3", "N3C1", "N3D1"]
    assert all(chip.name == chip.value for chip in loihi.ChipGeneration)


# --- the older way ------------------------------------------------------------------------------


def test_settings_are_made_once(monkeypatch):
    assert system.Loihi2.is_loihi2_available is False
    assert system.Loihi2.partition == "Unspecified"
    system.Loihi2.preferred_partition = "small"
    system.Loihi2.set_environ_settings()
    assert (os.environ["SLURM"], os.environ["LOIHI_GEN"], system.Loihi2.partition) == ("1", "N3B3", "small")
    system.Loihi2.set_environ_settings("large")
    assert system.Loihi2.partition == "small"
    monkeypatch.delenv("SLURM")
    monkeypatch.delenv("PARTITION")
    monkeypatch.setenv("NOSLURM", "1")
    system.Loihi2.set_environ_settings(partititon="large")
    assert "SLURM" not in os.environ
    assert system.Loihi2.partition == "large"


def test_hardware_is_available_with_a_cluster_and_a_package(hardware, cluster):
    assert system.Loihi2.is_loihi2_available is True


def test_deprecated_functions_warn():
    @system.deprecated("use the other one")
    def old(x):
        return 2 * x

    with pytest.warns(DeprecationWarning, match="old: use the other one"):
        assert old(3) == 6
    assert old.__deprecated__ == "use the other one"
    assert "loihi" in system.Loihi2.__deprecated__


def test_arguments_are_checked_without_hardware_too():
    with pytest.raises(ArgumentTypeError, match="host_address must be a string, not 5"):
        loihi.use_ethernet_host(5)
    for choose in (
        lambda: loihi.use_ethernet_host("x", loihi_gen="N3"),
        lambda: loihi.use_slurm_host(loihi_gen=3),
    ):
        with pytest.raises(ArgumentTypeError, match="must be a ChipGeneration such as N3B3"):
            choose()


def test_an_address_that_is_none_does_not_answer(hardware):
    with pytest.raises(ValidationError, match="does not answer"):
        loihi.use_ethernet_host("a\0b")
