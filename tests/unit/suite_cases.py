# SPDX-License-Identifier: Apache-2.0

"""A small suite on disk, in place of the real one."""

import pathlib
import re
import textwrap

import fixtures
import testtools

from cinder_backup_recovery_tests.certification.run import runner
from cinder_backup_recovery_tests.certification.verdict import tiers

PACKAGE = 'small_suite'
# What hands over facts as the real tests do.
TOLD = '''
    from cinder_backup_recovery_tests import tenant

    class Told(testtools.TestCase):
        _record_exception = tenant.TenantTest._record_exception

        def setUp(self):
            super().setUp()
            self.story = tenant.steps.Story()
            for name, detail in self.story.details().items():
                self.addDetail(name, detail)
            self.addOnException(self._record_exception)
    '''


class SuiteTestCase(testtools.TestCase):
    """With a small suite on disk instead of the real one."""

    def setUp(self):
        super().setUp()
        self.temporary = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.suite = self.temporary / PACKAGE
        self.suite.mkdir()
        self.useFixture(fixtures.MonkeyPatch('tempfile.tempdir',
                                             str(self.temporary)))
        (self.suite / '__init__.py').touch()
        self.useFixture(fixtures.MockPatchObject(runner, '_PACKAGE',
                                                 self.suite))
        # Its tests are in no tier; see test_tiers for those that are.
        self.useFixture(fixtures.MockPatchObject(tiers, 'of_way',
                                                 lambda way: None))

    def write(self, text, name='test_x'):
        (self.suite / f'{name}.py').write_text(
            'import os, signal, sys, time\nimport testtools\n'
            'from cinder_backup_recovery_tests import exceptions\n'
            'from cinder_backup_recovery_tests import known_defects\n' +
            textwrap.dedent(TOLD) + textwrap.dedent(text))

    def environment(self):
        directory = self.temporary / 'tmp'
        directory.mkdir(exist_ok=True)
        return runner.environment({'PYTHONPATH': str(self.temporary)},
                                  directory)

    def run_suite(self, pattern=None, concurrency=1):
        """The results of a real run, by the name of the test."""
        repository = self.temporary / 'stestr'
        self.required = runner.list_tests(repository, self.environment())
        self.begun, self.seen = [], []

        def ended(result):
            self.seen.append(result)
            (self.temporary / 'seen').touch()

        self.run_ = runner.Run(
            repository, self.environment(), [
                t for t in self.required if re.search(pattern or '', t)],
            concurrency)
        self.run_(self.begun.append, ended)
        self.assertEqual(self.run_.results, self.seen)
        return {r.name: r for r in self.run_.results}
