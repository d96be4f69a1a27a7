"""Run simulations: one seed again, a range of them, or new ones until stopped.

``python -m lahar.runtime.testing --seed N --trace`` shows one exactly as it was.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import random
import sys
import time
from collections import Counter

from .simulation import Simulation, simulate
from .world import SimulationFailure


def main(arguments: list[str] | None = None) -> int:
    """Return 1 if a simulation has failed."""
    parser = argparse.ArgumentParser(prog="python -m lahar.runtime.testing", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this seed only")
    parser.add_argument("--trace", action="store_true", help="with --seed: print everything that happens")
    parser.add_argument("--first", type=int, help="first of many seeds; random if not given")
    parser.add_argument("--count", type=int, help="number of seeds; without end if not given")
    chosen = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # workers die here all the time
    if chosen.seed is not None:
        return _replay(chosen.seed, chosen.trace)
    first = random.SystemRandom().randrange(2**40) if chosen.first is None else chosen.first
    return _run_many(first, chosen.count)


def _replay(seed: int, trace: bool) -> int:
    simulation = Simulation(seed)
    failure: SimulationFailure | None = None
    try:
        report = simulation.run()
    except SimulationFailure as error:
        failure = error
    if trace:
        print(simulation.trace())
    print(failure or report)
    return int(failure is not None)


def _run_many(first: int, count: int | None) -> int:
    endings: Counter[str] = Counter()
    begun = time.monotonic()
    seeds = itertools.count(first) if count is None else range(first, first + count)
    try:
        for done, seed in enumerate(seeds, 1):
            endings[simulate(seed).ending] += 1
            if done % 1000 == 0:
                print(
                    f"{done} seeds from {first}, {time.monotonic() - begun:.0f} s: {dict(endings)}",
                    flush=True,
                )
    except SimulationFailure as failure:
        print(failure)
        return 1
    except KeyboardInterrupt:
        pass
    print(f"{sum(endings.values())} seeds from {first}: {dict(endings)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
