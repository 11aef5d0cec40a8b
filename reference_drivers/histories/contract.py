# SPDX-License-Identifier: Apache-2.0

"""The histories that a certification asks of a driver.

A program like :mod:`reference_drivers.contract`, with the same options and a
few more, in a process of its own::

    python -m reference_drivers.histories.contract --driver acme.AcmeDriver \\
        --config-file /etc/cinder/cinder.conf --store acme.tests.objects \\
        --seed 7 > acme.subunit

A driver fails for a broken promise only if three things hold: no known defect
of Cinder explains it, it is broken again when the history is repeated, and the
reference driver keeps it in the same history. What a new release of Cinder, or
a mistake of the model, does to any driver is reported, and is no failure of
this one.
"""

import argparse
from collections.abc import Callable
import logging
import random
import sys
from typing import Any
import unittest

import testtools
from testtools import content as details

from backup_model import history
from backup_model import known
from backup_model import telling
from reference_drivers.contract import __main__ as program
from reference_drivers.contract import base
from reference_drivers.contract import binding
from reference_drivers.contract import stopping
from reference_drivers.histories import cloud
from reference_drivers.histories import search

#: Keeps each promise that a driver can keep.
CONTROL = 'reference_drivers.default.DefaultBackupDriver'
#: What broke a promise: the driver; all that is not the driver, which the
#: control shows; or something that did not come again.
DRIVER, CINDER, ONCE = 'driver', 'cinder', 'not again'

# Seconds for making one history short.
_PATIENCE = 120.0


class HistoriesContract(testtools.TestCase):
    """Histories keep their promises with the driver under test."""

    bound: binding.Binding
    #: Of the random histories.
    seed: int
    histories: int
    #: None of them starts later than these seconds after the first one.
    seconds: float

    def run(self, result: Any = None) -> Any:
        # Between two tests there are no backups to remove.
        stopping.check()
        return super().run(result)

    def setUp(self) -> None:
        super().setUp()
        if not self.bound.has_store:
            raise unittest.SkipTest(binding.LACKS_STORE)
        # The services log each error that a history causes.
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.lacks = set(self.bound.denied)
        if not self.bound.verifies or (
                self.bound.level != base.Contract.levels[-1]):
            # Nothing of the driver promises that damage is found.
            self.lacks.add('import_verify')

    def test_known_histories(self) -> None:
        """The corpus: a short history of each known defect of Cinder."""
        steps = [history.read(path)
                 for path in sorted(known.CORPUS.glob('*.json'))]

        def run(found: search.Search) -> None:
            for one in steps:
                found.take(one)

        # Each shows a known defect first, and would end there.
        self._judge(run, None, len(steps), goes_on=True)

    def test_random_histories(self) -> None:
        """Histories that a seed draws."""
        self._judge(lambda found: found.run(self.histories, self.seconds),
                    self.seed, self.histories)

    def _judge(self, run: Callable[[search.Search], None],
               seed: int | None, wanted: int, goes_on: bool = False) -> None:
        """Run histories, and fail for what is the driver's fault."""
        found = None
        whose: dict[tuple[str, str], str] = {}
        refusals = []
        try:
            with cloud.Cloud(self.bound) as engine:
                found = search.Search(
                    search.at_once(engine), seed or 0, lacks=self.lacks,
                    patience=_PATIENCE, shortens_known=False,
                    goes_on=goes_on)
                with stopping.heard():
                    run(found)
                    again = [one for one in found.unknown if search.shows(
                        engine, one.failure.steps, one.failure.cause)]
            if again:
                with (cloud.Cloud(binding.Binding(CONTROL)) as engine,
                      stopping.heard()):
                    whose = {one.failure.cause: CINDER if search.shows(
                        engine, one.failure.steps, one.failure.cause)
                        else DRIVER for one in again}
        except Exception as error:
            # What a driver raises does not come here.
            refusals.append({
                'error': type(error).__name__, 'configuration': False,
                'message': f'the histories could not be run: {error}'})
            raise
        finally:
            self.addDetail('facts', details.json_content({
                'refusals': refusals,
                'histories': found and self._facts(
                    found, seed, wanted, whose)}))
        of_driver = [telling.story(one.failure) for one in found.unknown
                     if whose.get(one.failure.cause) == DRIVER]
        if of_driver:
            self.fail('\n\n'.join([
                'the reference driver keeps what these histories break:',
                *of_driver]))

    @staticmethod
    def _facts(found: search.Search, seed: int | None, wanted: int,
               whose: dict[tuple[str, str], str]) -> dict[str, Any]:
        defects: dict[str, int] = {}
        for one in found.causes.values():
            if one.defect:
                defects[one.defect] = defects.get(one.defect, 0) + one.times
        return {
            'seed': seed, 'wanted': wanted, 'histories': found.histories,
            'steps': found.steps, 'defects': defects,
            'causes': [{
                'promise': one.failure.broken.promise,
                'key': one.failure.broken.key,
                'text': one.failure.broken.text, 'times': one.times,
                'whose': whose.get(one.failure.cause, ONCE),
                'story': list(map(telling.step, one.failure.steps)),
                'history': {
                    'version': history.VERSION,
                    'steps': [step.to_data() for step in one.failure.steps]},
            } for one in found.unknown]}


def tests(bound: binding.Binding, arguments: argparse.Namespace
          ) -> unittest.TestSuite:
    """The tests of this module for a driver."""
    seed = arguments.seed
    if seed is None:
        seed = random.SystemRandom().randrange(10**6)
    return unittest.defaultTestLoader.loadTestsFromTestCase(type(
        'HistoriesContract', (HistoriesContract,), {
            '__module__': _MODULE, 'bound': bound, 'seed': seed,
            'histories': arguments.histories, 'seconds': arguments.seconds}))


# Also where it is called "__main__".
_MODULE = 'reference_drivers.histories.contract'


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program.parser(f'python -m {_MODULE}')
    made.add_argument('--seed', type=int, metavar='N',
                      help='draw the same histories as another run')
    made.add_argument('--histories', type=int, default=100, metavar='N',
                      help='how many are drawn (%(default)s)')
    made.add_argument('--seconds', type=float, default=300.0, metavar='N',
                      help='draw no more after this time, on a slow storage '
                           '(%(default)g)')
    return made


if __name__ == '__main__':
    stopping.listen()
    sys.exit(program.main(None, parser(), tests))
