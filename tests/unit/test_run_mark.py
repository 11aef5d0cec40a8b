# SPDX-License-Identifier: Apache-2.0

"""The mark of a run, as far as a real Keystone cannot be brought to it.

The rest is in tests/functional/test_certify_cloud.py.
"""

import itertools
import json
import os

import fixtures
from tempest.lib import exceptions as lib_exc
import testtools

from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.cloud import locks
from cinder_backup_recovery_tests.cloud import run_mark


class Projects:
    """Keystone's projects, one domain for each client."""

    def __init__(self, found, domain='default'):
        self.found = found
        self.domain = domain

    def list_projects(self, params):
        return {'projects': [dict(one) for one in self.found.values()
                             if one['name'] == params['name']]}

    def create_project(self, name, **fields):
        assert not fields['enabled']
        if any((one['name'], one['domain']) == (name, self.domain)
               for one in self.found.values()):
            raise lib_exc.Conflict()
        number = next(n for n in itertools.count() if str(n) not in self.found)
        self.found[str(number)] = {
            'id': str(number), 'name': name, 'domain': self.domain, **fields}
        return {'project': dict(self.found[str(number)])}

    def delete_project(self, project_id):
        if project_id not in self.found:
            raise lib_exc.NotFound()
        del self.found[project_id]


class RunMarkTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.found = {}
        self.marks = [self.mark() for _ in range(2)]
        self.runs = [{**locks.owner('report'),
                      'ledger': mark._ledger.directory}
                     for mark in self.marks]

    def mark(self, domain='default'):
        own = ledger.Ledger(self.useFixture(fixtures.TempDir()).path)
        self.addCleanup(own.close)
        return run_mark.RunMark(Projects(self.found, domain), own)

    def remove(self, mark):
        return [mark.remove(entry)
                for entry in mark._ledger.entries(run_mark.KIND)]

    def refused(self, call, *args):
        error = str(self.assertRaises(run_mark.Occupied, call, *args))
        self.assertNotIn('\n', error)
        return error

    def test_one_at_a_time(self):
        first, second = self.marks
        first.check()
        self.assertTrue(first.set(self.runs[0]))
        first.check()
        with locks.RunLock(os.path.join(self.runs[0]['ledger'], locks.RUN),
                           self.runs[0]):
            for call in second.check, lambda: second.set(self.runs[1]):
                error = self.refused(call)
                self.assertIn('wait for its end', error)
                self.assertIn(self.runs[0]['report'], error)
        self.assertEqual([], self.remove(second))
        self.assertEqual(['removed'], self.remove(first))
        self.assertTrue(second.set(self.runs[1]))

    def test_a_run_that_was_killed(self):
        self.marks[0].set(self.runs[0])
        self.assertIn('was killed', self.refused(self.marks[1].check))
        # One of another host may still be there.
        self.found['0']['description'] = json.dumps(
            {**self.runs[0], 'host': 'elsewhere'})
        error = self.refused(self.marks[1].check)
        self.assertIn('is unknown on this host', error)
        self.assertIn('delete the project 0', error)

    def test_an_answer_that_was_not_seen(self):
        """By the run in it, a mark of another run is left alone."""
        first, second = self.marks
        first.set(self.runs[0])
        for mark, run in zip(self.marks, self.runs, strict=True):
            mark._ledger.intend(run_mark.KIND, run_mark.NAME, run=run['run'])
        self.assertEqual(['was never made'], self.remove(second))
        self.assertIn('0', self.found)
        third = self.mark()
        third._ledger.intend(run_mark.KIND, run_mark.NAME,
                             run=self.runs[0]['run'])
        third.check()
        self.assertEqual(['removed'], self.remove(third))
        self.assertEqual({}, self.found)

    def test_a_project_of_that_name_which_is_no_mark(self):
        for text in (None, '', 'mine', '[]'):
            self.found['0'] = {'id': '0', 'name': run_mark.NAME,
                               'domain': 'default', 'description': text}
            self.assertIn('unknown process',
                          self.refused(self.marks[0].check))
            self.assertEqual([], self.remove(self.marks[0]))
        self.assertIn('0', self.found)

    def test_administrators_of_two_domains(self):
        """Neither sees the other's mark before it has set its own."""
        first, second = self.mark('one'), self.mark('two')
        create = first._projects.create_project

        def both(*args, **kwargs):
            first._projects.create_project = create
            second._projects.create_project(
                run_mark.NAME, enabled=False,
                description=json.dumps(self.runs[1]))
            return create(*args, **kwargs)

        first._projects.create_project = both
        self.refused(first.set, self.runs[0])
        self.assertEqual(['two'],
                         [one['domain'] for one in self.found.values()])
        self.assertEqual([], first._ledger.entries())

    def test_no_right_to_create_projects(self):
        def forbid(*args, **kwargs):
            raise lib_exc.Forbidden()

        mark = self.marks[0]
        mark._projects.create_project = forbid
        mark._projects.list_projects = forbid
        mark.check()
        self.assertFalse(mark.set(self.runs[0]))
        self.assertEqual([], mark._ledger.entries())
