"""What scripts let models do: fail, die, ask, wait, print."""

from __future__ import annotations

import os
import signal
import threading
import time
import weakref

import numpy as np


class RebuildError(Exception):
    """Pickles, but cannot be rebuilt: the constructor takes other arguments."""

    def __init__(self, code, place):
        super().__init__(f"code {code} at {place}")


class LockError(Exception):
    """Cannot be pickled: it holds a lock."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


def fail(model):
    raise ZeroDivisionError(f"{model.process_name} fails on purpose")


def fail_to_rebuild(model):
    raise RebuildError(5, model.process_name)


def fail_to_pickle(model):
    raise LockError("holds a lock")


class ExhaustedError(MemoryError):
    """Says whether the array that filled the memory is still there while the exception is reported."""

    def __init__(self, array):
        super().__init__()
        self.array = weakref.ref(array)

    def __str__(self):
        return "memory is full" if self.array() is not None else "memory was freed"

    def __reduce__(self):
        return MemoryError, (str(self),)


def exhaust(model):
    array = np.zeros(3)
    raise ExhaustedError(array)


def system_exit(model):
    raise SystemExit(3)


def exit_at_once(model):
    os._exit(7)


def kill_itself(model):
    os.kill(os.getpid(), signal.SIGKILL)


def ask_pause(model):
    model.ask_pause()


def ask_stop(model):
    model.ask_stop()


def ask_both(model):
    model.ask_both()


def change_mind(model):
    model.change_mind()


def compute_for_ever(model):
    with open("stuck", "w"):
        pass
    while True:
        pass


def ask_secretly(model):
    """Ask for a pause in a way that the compiler does not see."""
    model._wish("pause", True)


def ask_secretly_for_stop(model):
    model._wish("stop", True)


class Gate:
    """An action that announces itself with one file and goes on when another exists."""

    def __init__(self, directory, name="gate"):
        self.reached = str(directory / f"{name}.reached")
        self.opened = str(directory / f"{name}.opened")

    def __call__(self, model):
        with open(self.reached, "w"):
            pass
        end = time.monotonic() + 30
        while not os.path.exists(self.opened):
            if time.monotonic() > end:
                raise TimeoutError("nobody opened the gate")
            time.sleep(0.001)

    def is_reached(self):
        return os.path.exists(self.reached)

    def open(self):
        with open(self.opened, "w"):
            pass


class Rendezvous:
    """An action that raises once all of `names` have got this far; none of them hears of the others."""

    def __init__(self, directory, name, names):
        self.directory, self.name, self.names = str(directory), name, names

    def _path(self, name):
        return os.path.join(self.directory, f"{name}.here")

    def __call__(self, model):
        with open(self._path(self.name), "w"):
            pass
        end = time.monotonic() + 30
        while not all(os.path.exists(self._path(name)) for name in self.names):
            if time.monotonic() > end:
                raise TimeoutError("the others do not come")
            time.sleep(0.001)
        fail(model)


def talk(model):
    """Print and log in every way there is."""
    import logging
    import sys
    import warnings

    print("one line")
    print("half a", end=" ")
    print("line")
    print("an error", file=sys.stderr)
    model.log.warning("of the model: %d", 7)
    logging.getLogger("mine").info("of a logger of one's own")
    logging.getLogger("mine").debug("never wanted")
    warnings.warn("something odd", stacklevel=1)
    thread = threading.Thread(target=logging.getLogger("mine").warning, args=("from another thread",))
    thread.start()
    thread.join()
