# SPDX-License-Identifier: Apache-2.0

"""A report of a small suite, made by a real run of it."""

import contextlib
import io
import json
import pathlib
import shutil
import subprocess
import sys

import fixtures

from cinder_backup_recovery_tests.certification.report import digests
from cinder_backup_recovery_tests.certification.report import junit
from cinder_backup_recovery_tests.certification.report import page
from cinder_backup_recovery_tests.certification.report import writer
from cinder_backup_recovery_tests.certification.run import runner
from cinder_backup_recovery_tests.certification.verdict import document
from cinder_backup_recovery_tests.certification.verdict import tiers

#: Planted in all that a run is told, and in what its tests say. One has what
#: must be quoted in URLs, JSON and HTML, one is short.
SECRETS = {'profile': 'plant<"&\'/%>ed-in-profile',
           'tempest.conf': 'planted-in-tempest-conf',
           'database': 'planted+in/database',
           'environment': 'planted-in-environment',
           'short': 'Kx7q'}
_PACKAGE = 'small_suite'

_SUITE = '''
import logging, os, time
import testtools
from tempest.lib import decorators
from testtools import content
from testtools import content_type
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests import known_defects
from cinder_backup_recovery_tests import steps


class Base(testtools.testcase.WithAttributes, testtools.TestCase):
    """What they share."""

    def setUp(self):
        super().setUp()
        self.story = steps.Story()
        self.facts = self.story.facts
        for name, detail in self.story.details().items():
            self.addDetail(name, detail)


class RecordTest(Base):
    """A record says what it must. It says no more."""

    @decorators.idempotent_id('00000000-0000-4000-8000-000000000001')
    def test_told(self):
        self.facts.steps += [facts.Step('create volume v', 0.1, facts.CREATE),
                             facts.Step('and it is right', 2.0)]

    @decorators.idempotent_id('00000000-0000-4000-8000-000000000002')
    def test_known(self):
        with known_defects.expected(
                self, self.facts, ['import-negative-size'],
                'import-negative-size'):
            self.fail('more quota than before')


class VerifyTest(Base):
    """A damaged backup is refused."""

    @decorators.idempotent_id('00000000-0000-4000-8000-000000000003')
    def test_damaged(self):
        full, child = 'full backup', 'incremental backup'
        self.facts.steps.append(facts.Step('import full backup', 0.5))
        self.facts.answers += [
            # As Cinder keeps it, with the end of a line in it.
            facts.Answer(full, 'metadata missing', full,
                         'Invalid backup:\\nobject x/metadata is missing'),
            facts.Answer(full, 'chunk empty', child, None),
            facts.Answer(full, 'chunk empty', full, '<b>no</b>')]

    @decorators.idempotent_id('00000000-0000-4000-8000-000000000004')
    def test_maybe(self):
        if not os.environ.get('REPORT_FAILS'):
            return
        self.facts.steps += [facts.Step('create volume v', 0.1),
                             facts.Step('compare', 0.2, failed=True)]
        secrets = [os.environ[name] for name in sorted(os.environ)
                   if name.startswith('PLANTED_')]
        self.facts.steps += [facts.Step(one) for one in secrets]
        self.addDetail('pythonlogging', content.text_content(
            '2026-11-22 21:05:11,214 1 INFO     [tempest.lib.common.'
            'rest_client] Request (VerifyTest:test_maybe): 500 GET '
            f'http://127.0.0.1:1/v3/backups?x={secrets[0]} 0.021s\\n'
            f'2026-11-22 21:05:11,215 1 DEBUG [x] {secrets}'))
        # What is in pieces must not come through whole.
        half = len(secrets[1]) // 2
        self.addDetail('cut', content.Content(
            content_type.ContentType('application', 'x'),
            lambda: [secrets[1][:half].encode(), secrets[1][half:].encode()]))
        print('said', *secrets, flush=True)
        self.fail(f'<script>alert(1)</script> {secrets}')
'''
_ID = '00000000-0000-4000-8000-{:012}'


def manifest():
    """The tiers of the small suite."""
    def tests(cls, *names):
        return {_ID.format(number): (f'{_PACKAGE}.test_x.{cls}.{name}',)
                for number, name in names}

    return tiers.Manifest((
        tiers.Tier('record', 'A record', 'It is right.', True, (),
                     tests('RecordTest', (1, 'test_told'),
                           (2, 'test_known'))),
        tiers.Tier('verified', 'Damage', 'It is found.', False,
                     ('import_verify',),
                     tests('VerifyTest', (3, 'test_damaged'),
                           (4, 'test_maybe')))))


class SmallReport(fixtures.Fixture):
    """Run the small suite, and write a report of it.

    :param fails: whether one of its tests fails, and says all secrets
    :ivar directory: where the report is
    :ivar out: what was printed
    """

    def __init__(self, fails=False):
        super().__init__()
        self._fails = fails

    def _setUp(self):
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        suite = root / _PACKAGE
        suite.mkdir()
        (suite / '__init__.py').touch()
        (suite / 'test_x.py').write_text(_SUITE)
        self.useFixture(fixtures.MockPatchObject(runner, '_PACKAGE', suite))
        variables = {'PYTHONPATH': str(root), 'OS_PASSWORD':
                     SECRETS['environment'], **{
                         f'PLANTED_{number}': secret for number, secret in
                         enumerate(SECRETS.values())}}
        if self._fails:
            variables['REPORT_FAILS'] = '1'
        self.directory = root / 'report'
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self._make(root, variables)
        self.out = out.getvalue()

    def _make(self, root, variables):
        files = writer.Report(self.directory)
        files.learn(variables)
        conf = root / 'tempest.conf'
        conf.write_text(
            f'[auth]\nadmin_password = {SECRETS["tempest.conf"]}\n'
            f'[vendor]\nkey = {SECRETS["short"]}\nurl = http://h/?k='
            f'{SECRETS["short"]}\n[cinder_backup_recovery]\n'
            f'database_connection = mysql+pymysql://cinder:'
            f'planted+in%2Fdatabase@db/cinder\n')
        files.show_file('tempest.conf', conf)
        files.show('profile.yaml', {
            'connect': {'password': SECRETS['profile']}, 'name': 'small'})
        # The logs of services, too.
        files.logs.mkdir()
        (files.logs / 'cinder.log').write_text(
            f'a line\n{list(SECRETS.values())}\n', errors='surrogateescape')
        environment = runner.environment(variables, root)
        # As stestr lists them, which takes long.
        required = [f'{name}[id-{uuid}]' for tier in manifest().tiers
                    for uuid, names in tier.tests.items() for name in names]
        (root / 'stestr').mkdir()
        subprocess.run(
            [sys.executable, '-m', 'stestr', '--repo-url',
             str(root / 'stestr'), 'init'], env=environment, check=True)
        run = runner.Run(root / 'stestr', environment, required, 1,
                         recorder=files.recorder())
        run(lambda test_id: None, lambda result: print(result))
        files.clean_logs()
        files.write(document.build(
            required, [files.clean(result) for result in run.results],
            manifest(), {
                'backup': 'vendor', 'versions': {'cinder': '29.0.0'},
                'configuration': files.configuration, 'seconds': 12.5,
            }), manifest())

    def copy(self, target):
        """A copy of the report, to be changed.

        :param target: where it goes
        :returns: its directory
        """
        return pathlib.Path(shutil.copytree(self.directory, target))


def remake(directory):
    """Make all that is made of a report's results.json again."""
    content = json.loads((directory / 'results.json').read_text())
    for name, text in (
            ('junit.xml', junit.render(content)),
            ('report.html', page.render(
                content, manifest() if content['manifest'] else None))):
        (directory / name).write_text(text)


def sum_up(directory):
    """Make the digests of a report again."""
    digests.write(directory, [path.name for path in directory.iterdir()
                              if path.name != digests.NAME])


def change(directory, name, function):
    """Edit a JSON file of a report.

    :param function: is given the document, and changes it
    """
    path = directory / name
    document = json.loads(path.read_text())
    function(document)
    path.write_text(json.dumps(document, indent=2) + '\n')
