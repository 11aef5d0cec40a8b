# SPDX-License-Identifier: Apache-2.0

"""The program of a registry: its files, its errors, and its workflow."""

import os
import pathlib
import shutil
import subprocess
import sys
from unittest import mock

import fixtures
import testtools
import yaml

from cinder_backup_recovery_tests.certification import main
from cinder_backup_recovery_tests.certification.registry import pages
from cinder_backup_recovery_tests.certification.report import writer
from cinder_backup_recovery_tests.certification.verdict import document
from cinder_backup_recovery_tests.certification.verdict import tiers
from tests import programs
from tests.unit import registries


def setUpModule():
    registries.set_up_module()


class _Killed(BaseException):
    """Ends a program as a kill does."""


class SiteTest(registries.RegistryCase):
    """The files of a site, and their places."""

    def test_files(self):
        self.directory.add('one')
        self.make()
        digest = self.data()['reports'][0]['digest'][:16]
        self.assertEqual(
            ['SHA256SUMS', 'drivers/acme.html', 'index.html',
             'registry.json', f'reports/{digest}.html'], self.files())

    def test_what_is_gone_goes_and_nothing_else(self):
        self.directory.add('one')
        self.directory.add('two', driver='gone')
        self.make()
        for name in 'CNAME', 'drivers/mine.html', '.git/config':
            (self.site / name).parent.mkdir(exist_ok=True)
            (self.site / name).write_text('mine')
        before = self.files()
        gone, = (one['page'] for one in self.data()['reports']
                 if one['driver'] == 'gone')
        shutil.rmtree(self.directory.path / 'two')
        self.make()
        self.assertEqual({'drivers/gone.html', gone},
                         set(before) - set(self.files()))
        for name in 'CNAME', 'drivers/mine.html', '.git/config':
            self.assertEqual('mine', (self.site / name).read_text())

    def assert_left_alone(self, said):
        before = {name: (self.site / name).read_bytes()
                  for name in self.files()}
        self.assert_refused(said, '--output', str(self.site))
        self.assertEqual(before, {name: (self.site / name).read_bytes()
                                  for name in self.files()})

    def test_files_of_others(self):
        """None of them is overwritten, and nothing else is written then."""
        self.directory.add('one')
        self.make()
        sums = self.site / 'SHA256SUMS'
        for name in 'index.html', 'drivers/acme.html':
            text = sums.read_text()
            sums.write_text(''.join(line for line in text.splitlines(True)
                                    if name not in line))
            self.assert_left_alone(f'{self.site / name} was not written by '
                                   f'this program')
            sums.write_text(text)

    def test_a_list_of_digests_of_others(self):
        """That of a report, and one that points elsewhere."""
        self.directory.add('one')
        mine = self.site.parent / 'mine'
        mine.touch()
        self.site.mkdir()
        for text in ('x', f'{"0" * 64}  results.json\n',
                     f'{"0" * 64}  ../mine\n', f'{"0" * 64}  {mine}\n',
                     f'{"0" * 64}  drivers/../../mine\n'):
            (self.site / 'SHA256SUMS').write_text(text)
            self.assert_left_alone('SHA256SUMS was not written by this')
            self.assertTrue(mine.exists())

    def test_a_link_to_another_directory(self):
        self.directory.add('one')
        mine = self.site.parent / 'mine'
        mine.mkdir()
        self.site.mkdir()
        (self.site / 'drivers').symlink_to(mine)
        self.assert_left_alone('drivers was not written by this program')
        self.assertEqual([], list(mine.iterdir()))

    def test_a_failure_leaves_the_old_site(self):
        """Until all of the new one is there."""
        self.directory.add('one')
        self.make()
        self.directory.add('two', driver='new')
        for name, target in (('a full disk', 'pathlib.Path.write_text'),
                             ('Ctrl-C', f'{pages.__name__}.index')):
            error = (KeyboardInterrupt() if name == 'Ctrl-C' else
                     OSError(28, 'No space left on device'))
            before = self.files()
            with mock.patch(target, side_effect=error):
                code, _, err = self.directory.make()
            self.assertEqual(
                (2, ['interrupted']) if name == 'Ctrl-C' else
                (3, [f'error: the site cannot be written to {self.site}: No '
                     f'space left on device']), (code, err))
            self.assertEqual(before, self.files())

    def test_killed_between_two_files(self):
        """Each address leads to a page, and the next run goes on."""
        self.directory.add('one')
        self.directory.add('two', driver='gone')
        self.make()
        shutil.rmtree(self.directory.path / 'two')
        self.directory.add('three', driver='new')
        replace, unlink = pathlib.Path.replace, pathlib.Path.unlink
        for last in range(20):
            left = [last]

            def counted(function, left=left):
                def run(*args, **kwargs):
                    if not left[0]:
                        raise _Killed
                    left[0] -= 1
                    return function(*args, **kwargs)
                return run

            try:
                with mock.patch.multiple(
                        pathlib.Path, replace=counted(replace),
                        unlink=counted(unlink)):
                    self.make()
            except _Killed:
                pass
            else:
                break
            # Each page that a visitor can come to.
            known, pages_ = set(), [self.site / 'index.html']
            while pages_:
                path = pages_.pop().resolve()
                if path not in known and path.suffix == '.html':
                    known.add(path)
                    self.assertTrue(path.exists(), f'{last}: {path}')
                    pages_ += [path.parent / link.partition('#')[0]
                               for link in registries.Page(path).links]
            self.assertGreater(len(known), 3)
        self.assertGreater(last, 7)
        self.assertEqual({'acme', 'new'}, {
            one['driver'] for one in self.data()['reports']})
        self.assertEqual(7, len(self.files()))


class ProgramTest(registries.RegistryCase):
    def test_check(self):
        """It writes nothing, and has what verify-report cannot check."""
        self.directory.add('one', kit='99.0.0')
        before = sorted(self.directory.path.rglob('*'))
        code, out, err = self.directory.run('--check')
        self.assertEqual((0, []), (code, err))
        place = f'{self.directory.path}/one'
        self.assertTrue(out[0].startswith(
            f'note: {place}: junit.xml and report.html were made by version '
            f'99.0.0'), out)
        self.assertEqual(
            [f'{place}: verified: acme, Cinder 29.0.0: certified; tiers '
             f'earned: record, verified',
             f'{self.directory.path}: 1 report verified, 0 not'], out[1:])
        self.assertEqual(before, sorted(self.directory.path.rglob('*')))

    def test_nothing_but_refused_ones(self):
        (self.directory.path / 'results.json').write_text('x')
        self.make()
        self.assertIn('No report was verified', self.page().text)

    def test_mistakes(self):
        self.assert_refused('has no report; put directories into it',
                            '--check')
        self.assert_refused('has no report', '--output', str(self.site))
        self.assertFalse(self.site.exists())
        self.directory.add('one')
        (self.site.parent / 'file').touch()
        for said, words in (
                ('the site cannot be written to',
                 ('--output', str(self.site.parent / 'file'))),
                ('the site cannot be written to', ('--output', '/proc/x'))):
            self.assert_refused(said, *words)
        self.directory.path = self.directory.path / 'nowhere'
        self.assert_refused('nowhere: No such file or directory', '--check')

    def test_usage(self):
        for words, said in (
                ((), 'one of the arguments --output --check is required'),
                (('--check', '--output', 'x'), 'not allowed with'),
                (('--check', '--source', 'javascript:x'),
                 'javascript:x is not an address of http or https')):
            code, _, err = programs.call(main.main, 'registry', 'x', *words)
            self.assertEqual(3, code)
            self.assertIn(said, err)


class WorkflowTest(testtools.TestCase):
    """The template of the workflow, run as far as no service is needed."""

    def setUp(self):
        super().setUp()
        path = pathlib.Path(__file__).parents[2] / (
            'doc/source/examples/registry.yaml')
        # YAML takes the key "on" for a boolean.
        self.workflow = yaml.safe_load(path.read_text().replace(
            '\non:', '\n"on":'))
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def steps(self, event):
        """The commands in the repository for an event, line by line."""
        return [step['run'] for step in
                self.workflow['jobs']['registry']['steps'] if 'run' in step
                and step.get('if') in (None, f"github.event_name == '{event}'")
                and not step['run'].startswith('pip ')]

    def run_steps(self, event):
        steps = self.steps(event)
        self.assertEqual(1, len(steps), steps)
        return subprocess.run(
            ['bash', '-e', '-c', steps[0]], cwd=self.root, env={
                **os.environ, 'GITHUB_SERVER_URL': 'https://example.com',
                'GITHUB_REPOSITORY': 'o/registry', 'GITHUB_REF_NAME': 'main',
                'PATH': f'{pathlib.Path(sys.executable).parent}:'
                        f'{os.environ["PATH"]}'},
            capture_output=True, text=True, timeout=600)

    def report(self):
        """A report of the real suite's size, of which no test ran."""
        path = self.root / 'reports' / 'acme'
        made = writer.Report(path)
        made.recorder()
        manifest = tiers.load()
        made.write(document.build(
            [f'cinder_backup_recovery_tests.{name}[id-{uuid}]'
             for tier in manifest.tiers for uuid, names in tier.tests.items()
             for name in names], [], manifest,
            {'backup': 'acme', 'versions': {'cinder': '29.0.0'},
             'seconds': 1}), manifest)
        return path

    def test_events(self):
        self.assertEqual({'pull_request', 'push'}, set(self.workflow['on']))
        # A pull request is a stranger's: it may read, and nothing else.
        self.assertEqual({}, self.workflow['permissions'])
        jobs = self.workflow['jobs']
        self.assertEqual({'contents': 'read'},
                         jobs['registry']['permissions'])
        self.assertEqual("github.event_name == 'push'",
                         jobs['publish']['if'])

    def test_pull_request(self):
        """It passes with a report that is verified, and no other."""
        report = self.report()
        done = self.run_steps('pull_request')
        self.assertEqual((0, ''), (done.returncode, done.stderr), done.stdout)
        self.assertIn('reports/acme: verified: acme', done.stdout)
        self.assertEqual(['reports'], os.listdir(self.root))
        (report / 'junit.xml').write_text('')
        done = self.run_steps('pull_request')
        self.assertEqual(1, done.returncode)
        self.assertIn('reports/acme: junit.xml is not the file', done.stdout)

    def test_push(self):
        """The site is where the next step takes it from."""
        self.report()
        done = self.run_steps('push')
        self.assertEqual((0, ''), (done.returncode, done.stderr), done.stdout)
        upload, = (step for step in self.workflow['jobs']['registry']['steps']
                   if 'upload-pages' in step.get('uses', ''))
        page = registries.Page(
            self.root / upload['with']['path'] / 'drivers' / 'acme.html')
        self.assertIn('https://example.com/o/registry/tree/main/reports/acme',
                      page.links)
