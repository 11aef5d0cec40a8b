# SPDX-License-Identifier: Apache-2.0

"""The wheel, installed where nothing else is."""

from importlib import metadata
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import testtools

_ROOT = pathlib.Path(__file__).parents[2]

#: What belongs to a cloud and must not come with the plugin.
_SERVICES = ('cinder', 'glance', 'keystone', 'os_brick', 'oslo_messaging')


#: What is installed of the project, and nothing else of it.
_ROOMS = ('backup_model', 'backup_recovery', 'backup_stores',
          'cinder_backup_recovery_tests', 'local_cloud', 'reference_drivers')

#: Of the plugin alone, and of the extra without which volumes are not read.
_REQUIREMENT = re.compile(r'Requires-Dist: ([\w.-]+)>=([\w.]+)'
                          r'(?:; extra == "attachment")?\Z')

_IMPORT_ALL = '''
import importlib, pkgutil, sys
import reference_drivers
names = [one.name for one in pkgutil.walk_packages(
    reference_drivers.__path__, 'reference_drivers.')]
for name in names:
    importlib.import_module(name)
print(len(names))
'''


class PackageCase(testtools.TestCase):
    """A virtualenv with a wheel that was built outside of git."""

    #: How it is installed in the copy of the sources, as a page prints it;
    #: without, from the wheel.
    printed = ''
    #: What is installed of the wheel's extras.
    extras = ''
    #: Of a file that pip reads, where it is not the one of these tests.
    constraints = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        temporary = tempfile.TemporaryDirectory(prefix='cbrt-wheel-')
        cls.addClassCleanup(temporary.cleanup)
        cls.root = pathlib.Path(temporary.name)
        cls.sdist, cls.wheel = cls.build()
        cls.run_program(sys.executable, '-m', 'venv', cls.root / 'venv')
        cls.bin = cls.root / 'venv' / 'bin'
        if cls.printed:
            cls.run_program('sh', '-c', f'PATH={cls.bin}:$PATH; {cls.printed}',
                            cwd=cls.root / 'tree')
        else:
            cls.run_program(cls.bin / 'pip', 'install', '--quiet',
                            f'{cls.wheel}{cls.extras}')

    @classmethod
    def build(cls):
        """Make the archive of sources in git, and the wheel outside of it.

        :returns: their paths
        """
        tree = cls.root / 'tree'
        tracked = cls.run_program('git', 'ls-files', '-z', cwd=_ROOT)
        cls.tracked = {name for name in tracked.split('\0')
                       if (_ROOT / name).is_file()}
        # A copy, so that no two builds write into one directory.
        cls.run_program('git', 'clone', '--quiet', '--no-checkout', _ROOT,
                        tree)
        for name in cls.tracked:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_ROOT / name, tree / name)
        cls.run_program('git', 'add', '--all', cwd=tree)
        cls.run_program(
            sys.executable, '-W', 'ignore', '-c',
            'import sys\nfrom pbr import build\n'
            'build.build_sdist(sys.argv[1])',
            cls.root, cwd=tree)
        sdist, = cls.root.glob('*.tar.gz')
        cls.run_program(sys.executable, '-m', 'pip', 'wheel', '--quiet',
                        '--no-deps', '--wheel-dir', cls.root, sdist)
        wheel, = cls.root.glob('*.whl')
        return sdist, wheel

    @classmethod
    def run_program(cls, *command, cwd=None):
        environment = {name: value for name, value in os.environ.items()
                       if name != 'PYTHONPATH'}
        if cls.constraints:
            environment['PIP_CONSTRAINT'] = str(cls.constraints)
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True,
            cwd=cwd or cls.root, env=environment, timeout=600)
        if done.returncode != 0:
            raise AssertionError(f'{command} exited with {done.returncode}:\n'
                                 f'{done.stdout}\n{done.stderr}')
        return done.stdout


class PluginAloneTest(PackageCase):
    """Tempest's virtualenv on another machine."""

    def test_all_sources_are_there(self):
        with tarfile.open(self.sdist) as archive:
            found = {name.partition('/')[2] for name in archive.getnames()}
        # What only git and its server read; pbr leaves it out.
        self.assertEqual(set(), {
            name for name in self.tracked - found
            if name not in ('.gitignore', '.gitreview')})

    def test_all_of_the_rooms_is_there_and_nothing_else(self):
        with zipfile.ZipFile(self.wheel) as archive:
            found = {name for name in archive.namelist()
                     if '.dist-info/' not in name}
        self.assertEqual({name for name in self.tracked
                          if name.startswith(tuple(
                              f'{room}/' for room in _ROOMS))}, found)

    def test_metadata(self):
        told, = metadata.distributions(
            name='cinder-backup-recovery-tests',
            path=[str(path) for path in self.bin.parent.glob(
                'lib/python*/site-packages')])
        for name, value in (('License-Expression', 'Apache-2.0'),
                            ('License-File', 'LICENSE'),
                            ('Requires-Python', '>=3.11'),
                            ('Description-Content-Type', 'text/x-rst')):
            self.assertEqual(value, told.metadata[name])
        self.assertIn('Environment :: OpenStack',
                      told.metadata.get_all('Classifier'))
        self.assertEqual(
            (_ROOT / 'README.rst').read_text().rstrip(),
            told.metadata.get_payload().rstrip())
        documents = ''.join(
            path.read_text() for path in (_ROOT / 'doc').rglob('*.rst'))
        for extra in told.metadata.get_all('Provides-Extra'):
            if f'``{extra}``' not in documents:
                self.assertRegex(documents, rf'\[([\w-]+,)*{extra}[\],]')

    def test_ids_are_unique_and_where_they_belong(self):
        self.run_program(self.bin / 'check-uuid', '--package',
                         'cinder_backup_recovery_tests')

    def test_no_service_comes_with_it(self):
        found = self.run_program(
            self.bin / 'python', '-c',
            'from importlib import util; print([name for name in '
            f'{_SERVICES!r} if util.find_spec(name)])')
        self.assertEqual('[]', found.strip())

    def test_its_requirements_agree(self):
        self.run_program(self.bin / 'pip', 'check')

    def test_tempest_knows_it(self):
        self.assertIn('cinder_backup_recovery_tests',
                      self.run_program(self.bin / 'tempest', 'list-plugins'))

    def test_tempest_lists_its_tests(self):
        workspace = self.root / 'workspace'
        self.run_program(
            self.bin / 'tempest', 'init', workspace,
            '--workspace-path', self.root / 'workspaces.yaml')
        listed = self.run_program(
            self.bin / 'tempest', 'run', '--list-tests', '--config-file',
            workspace / 'etc' / 'tempest.conf', '--regex',
            r'^cinder_backup_recovery_tests\.', cwd=workspace)
        for room in ('api', 'scenario'):
            self.assertIn(f'cinder_backup_recovery_tests.{room}.test_',
                          listed)

    def test_store_adapters_need_no_storage_to_be_imported(self):
        listed = self.run_program(
            self.bin / 'python', '-c',
            'from importlib import metadata; print(*sorted('
            'one.load().__name__ for one in metadata.entry_points('
            'group="cinder_backup_recovery_tests.backup_stores")))')
        self.assertEqual('FilesystemStore RbdStore S3Store SwiftStore',
                         listed.strip())

    def test_other_releases_can_be_installed(self):
        """The local cloud finds what it was tested with."""
        listed = self.run_program(
            self.bin / 'python', '-c',
            'from importlib import resources; print(*sorted(path.name for '
            'path in (resources.files("local_cloud") / "constraints")'
            '.iterdir()))')
        self.assertEqual('cinder-2025.1.txt cinder-2025.2.txt '
                         'cinder-2026.1.txt', listed.strip())

    def test_what_certifications_read_is_there(self):
        """The tiers, the schema and the templates of a report."""
        report = self.root / 'report'
        self.run_program(
            self.bin / 'python', '-c',
            'import pathlib, sys\n'
            'from cinder_backup_recovery_tests.certification.report import '
            'writer\n'
            'from cinder_backup_recovery_tests.certification.verdict import '
            'document, tiers\n'
            'made = writer.Report(pathlib.Path(sys.argv[1]))\n'
            'made.recorder()\n'
            'tiers = tiers.load()\n'
            'made.write(document.build(["m.A.test_1"], [], tiers, dict(\n'
            '    backup="x", versions={"cinder": "29.0.0"}, seconds=1)),\n'
            '           tiers)', report)
        self.run_program(self.bin / 'cinder-backup-certify', 'verify-report',
                         report)
        site = self.root / 'site'
        self.run_program(self.bin / 'cinder-backup-certify', 'registry',
                         report, '--output', site)
        self.assertTrue((site / 'drivers' / 'x.html').is_file())

    def test_programs_say_how_to_be_used(self):
        for name in ('cinder-backup-records',
                     'cinder-backup-rows', 'cinder-backup-lose-rows',
                     'cinder-backup-source-rows',
                     'cinder-backup-certify', 'cinder-backup-results-table',
                     'cinder-backup-recovery-cleanup'):
            self.assertIn('usage:', self.run_program(self.bin / name,
                                                     '--help'))

    def test_programs_say_what_they_lack(self):
        # Something else may need psutil.
        without = ("import sys; sys.modules['psutil'] = None; "
                   "from local_cloud import __main__; "
                   "sys.exit(__main__.main())")
        for command, extra in (
                ([self.bin / 'python', '-c', without], 'local-cloud'),
                ([self.bin / 'cinder-backup-histories'], 'drivers'),
                ([self.bin / 'cinder-backup-switch-driver'], 'drivers'),
                ([self.bin / 'cinder-backup-verify'], 'drivers')):
            done = subprocess.run(
                [*command, '--help'], capture_output=True, text=True,
                cwd=self.root, env={'PATH': os.environ['PATH']}, timeout=600)
            self.assertEqual((3, '', 1), (
                done.returncode, done.stdout, done.stderr.count('\n')),
                done.stderr)
            self.assertIn(f"pip install '.[{extra}]'",
                          done.stderr)


class OldestTest(PackageCase):
    """The plugin with the oldest release of all that it needs."""

    extras = '[attachment]'

    @classmethod
    def build(cls):
        built = super().build()
        with zipfile.ZipFile(built[1]) as archive:
            name, = (one for one in archive.namelist()
                     if one.endswith('.dist-info/METADATA'))
            lines = archive.read(name).decode().splitlines()
        cls.oldest = dict(
            found.groups() for found in map(_REQUIREMENT.match, lines)
            if found)
        cls.constraints = cls.root / 'oldest.txt'
        cls.constraints.write_text(''.join(
            f'{name}=={version}\n' for name, version in cls.oldest.items()))
        return built

    def test_recovers_a_backup(self):
        """It runs, on a cloud of the present release."""
        self.run_program(self.bin / 'pip', 'check')
        done = subprocess.run(
            [sys.executable, '-m', 'local_cloud', 'run', '--', 'sh', '-c',
             'unset PYTHONPATH; exec "$@" --set '
             'connect.tempest_conf="$TEMPEST_CONFIG_DIR/$TEMPEST_CONFIG"',
             'sh', self.bin / 'cinder-backup-certify', 'cloud', '--profile',
             'default', '--mode', 'quick', '--report-dir',
             self.root / 'report'],
            # Where nothing of the project lies that Python could find.
            cwd=self.root, capture_output=True, text=True, timeout=900)
        self.assertIn('the set-up works', done.stdout, done.stderr)
        report = json.loads((self.root / 'report' / 'results.json')
                            .read_text())
        self.assertEqual(['pass'], [one['status'] for one in report['tests']])

    def test_just_these_are_installed(self):
        found = json.loads(self.run_program(
            self.bin / 'pip', 'list', '--format', 'json'))
        names = {one['name'].lower(): one['version'] for one in found}
        self.assertEqual(self.oldest, {
            name: names[name.lower()] for name in self.oldest})


class TempestTest(PackageCase):
    """Tempest's virtualenv, as the page about the plugin makes it."""

    printed = "pip install '.[mysql]'"

    def test_database_is_reached(self):
        self.run_program(self.bin / 'pip', 'check')
        self.run_program(self.bin / 'python', '-c', 'import pymysql')
        self.assertIn('cinder_backup_recovery_tests',
                      self.run_program(self.bin / 'tempest', 'list-plugins'))


class LocalCloudTest(PackageCase):
    """A virtualenv for the local cloud, as its page makes it."""

    printed = "pip install '.[local-cloud,s3,swift,postgresql,mysql]'"

    def test_cloud_starts(self):
        self.run_program(self.bin / 'pip', 'check')
        self.run_program(
            self.bin / 'cinder-backup-local-cloud', 'run', '--backup', 'swift',
            '--', self.bin / 'openstack', 'volume', 'service', 'list')


class DriversAloneTest(PackageCase):
    """Cinder's virtualenv, as the page for vendors makes it."""

    printed = "pip install '.[drivers]'"

    def test_without_tempest(self):
        """Its requirements agree, and nothing of the drivers asks for it."""
        self.run_program(self.bin / 'pip', 'check')
        self.run_program(self.bin / 'pip', 'uninstall', '--quiet', '--yes',
                         'tempest')
        modules = int(self.run_program(
            self.bin / 'python', '-W', 'ignore', '-c', _IMPORT_ALL))
        self.assertEqual(modules, len([
            name for name in self.tracked if name.endswith('.py') and
            name.startswith('reference_drivers/')]) - 1)
        for name in ('cinder-backup-histories', 'cinder-backup-switch-driver',
                     'cinder-backup-verify'):
            self.assertIn('usage:', self.run_program(self.bin / name,
                                                     '--help'))


class DrillTest(PackageCase):
    """A machine that drills, as the page for operators makes it."""

    printed = "pip install '.[drivers,local-cloud]'"

    def test_programs_start(self):
        self.run_program(self.bin / 'pip', 'check')
        for name in ('records', 'local-cloud'):
            self.assertIn('usage:', self.run_program(
                self.bin / f'cinder-backup-{name}', '--help'))


class AllTest(testtools.TestCase):
    """The virtualenv of these tests, which has every extra."""

    def test_its_requirements_agree(self):
        done = subprocess.run([sys.executable, '-m', 'pip', 'check'],
                              capture_output=True, text=True, timeout=600)
        self.assertEqual(0, done.returncode, done.stdout)
