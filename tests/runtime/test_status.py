"""The page in which workers say where they are."""

from __future__ import annotations

from lahar.processes.model import Phase
from lahar.runtime.status import Status, open_status


def test_what_a_worker_writes_is_seen(tmp_path):
    status = Status(3)
    status.share(str(tmp_path / "status"))
    views = [open_status(status.path, k) for k in range(3)]
    assert status.step == 0
    for k, view in enumerate(views):
        view[0], view[1] = 10 + k, Phase.LRN
    assert status.step == 12
    assert status.describe(1) == "time step 11, phase LRN"
    assert list(status.of(2)) == [12, Phase.LRN]
    for view in views:
        view.release()
    status.close()


def test_a_worker_without_time_steps_has_no_phase():
    assert Status(1).describe(0) == "time step 0"


def test_the_last_numbers_outlive_the_file(tmp_path):
    status = Status(2)
    status.share(str(tmp_path / "status"))
    view = open_status(status.path, 1)
    view[0] = 2**40
    view.release()
    status.close()
    status.close()
    assert status.step == 2**40
    assert status.of(1)[0] == 2**40
