#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""Compare the corpus of histories in one process with that on clouds.

Reads reports of certifications with the tests of histories, carries the same
histories out in this process with the driver of each, and writes JSON for the
documentation. Of several reports with one driver the later ones count::

    python tools/history_outcomes.py posix-report default-report > FILE
"""

import argparse
import json
import logging
import pathlib
import sys
from typing import Any

from backup_model import history
from backup_model import known
from cinder_backup_recovery_tests.certification.report import compact
from cinder_backup_recovery_tests.scenario import history_in_process
from reference_drivers.contract import binding
from reference_drivers.histories import cloud
from reference_drivers.histories import search


def on_cloud(report: dict[str, Any]) -> dict[str, list[str]]:
    """The known defects that each history has met on a cloud.

    One whose test failed is left out, since its outcome is not known.
    """
    found = {}
    for test in report['tests']:
        carried_out = test.get('histories')
        if carried_out and carried_out['corpus']:
            if test['status'] in ('pass', 'known'):
                found[carried_out['corpus']] = sorted(carried_out['defects'])
            else:
                print(f'{test["id"]} has failed', file=sys.stderr)
    return found


def in_process(driver: str) -> dict[str, list[str]]:
    """The same of one process."""
    causes = known.causes()
    found = {}
    with cloud.Cloud(binding.Binding(driver)) as engine:
        for path in _corpus():
            found[path.stem] = sorted({causes[one] for one in search.outcome(
                engine, history.read(path), known.cause(path.stem))})
    return found


def _corpus() -> list[pathlib.Path]:
    """Those that clouds carry out."""
    return [path for path in sorted(known.CORPUS.glob('*.json'))
            if not {step.operation for step in history.read(path)} &
            set(history_in_process.OPERATIONS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('reports', nargs='+', type=pathlib.Path,
                        metavar='REPORT', help='the directory of a report')
    logging.disable(logging.CRITICAL)
    drivers: dict[str, dict[str, Any]] = {}
    for directory in parser.parse_args().reports:
        report = json.loads((directory / 'results.json').read_text())
        driver = report['configuration']['tempest.conf'][
            'cinder_backup_recovery']['backup_driver']
        if driver not in drivers:
            drivers[driver] = {
                'driver': driver, 'cinder': report['versions']['cinder'],
                'in process': in_process(driver), 'cloud': {}}
        drivers[driver]['cloud'].update(on_cloud(report))
    for one in drivers.values():
        one['cloud'] = dict(sorted(one['cloud'].items()))
    print(compact.dumps({
        'drivers': list(drivers.values()),
        'histories': {path.stem: json.loads(path.read_text())['defect']
                      for path in _corpus()}}, depth=4), end='')


if __name__ == '__main__':
    main()
