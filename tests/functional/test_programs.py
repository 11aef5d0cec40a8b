# SPDX-License-Identifier: Apache-2.0

"""All programs, as they are installed.

A new one is tested, too: they are found by the entry points.
"""

from concurrent import futures
from importlib import metadata
import os
import pathlib
import subprocess
import sys
import tomllib

import fixtures
import testtools
from testtools import matchers

_ROOT = pathlib.Path(__file__).parents[2]
_BIN = pathlib.Path(sys.executable).parent
_DISTRIBUTION = 'cinder-backup-recovery-tests'

#: The arguments with which a program gets as far as its configuration.
_CONFIGURED = {
    'cinder-backup-histories': ['--histories', '1'],
    'cinder-backup-lose-rows': ['--trust-caller', 'id'],
    'cinder-backup-recovery-cleanup': ['--ledger', '.'],
    'cinder-backup-rows': ['--trust-caller', 'hard', 'backup', 'id'],
    'cinder-backup-source-rows': ['--trust-caller', 'put-back', 'volume',
                                  'id'],
    'cinder-backup-switch-driver': ['--from', 'x.y'],
    'cinder-backup-verify': ['--all'],
}


class ProgramsTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.names = [script.name for script in metadata.distribution(
            _DISTRIBUTION).entry_points.select(group='console_scripts')]
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)

    def outcomes(self, commands):
        """Run programs, two at a time.

        :returns: pairs of a command and what came of it
        """
        environment = {name: value for name, value in os.environ.items()
                       # As a user has it.
                       if name != 'PYTHONWARNINGS'}

        def run(command):
            name, *words = command
            return subprocess.run(
                [_BIN / name, *words], stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=600,
                cwd=self.directory, env=environment)

        with futures.ThreadPoolExecutor(2) as pool:
            return list(zip(commands, pool.map(run, commands), strict=True))

    def assert_one_line(self, done, *words):
        """An error, its remedy, and nothing else."""
        self.assertEqual((3, ''), (done.returncode, done.stdout), done.stderr)
        self.assertRegex(done.stderr, r'\Aerror: .*\n\Z')
        for word in words:
            self.assertIn(word, done.stderr)

    def test_those_of_this_project_are_installed(self):
        """Or the tests below would be of others."""
        scripts = tomllib.loads((_ROOT / 'pyproject.toml').read_text())[
            'project']['scripts']
        self.assertEqual(sorted(scripts), sorted(self.names),
                         'run "pip install -e ." again')

    def test_help(self):
        """By the name as installed, with no warning of any library."""
        configured = set()
        for (name, _), done in self.outcomes(
                [(name, '--help') for name in self.names]):
            self.assertEqual((0, ''), (done.returncode, done.stderr), name)
            self.assertThat(done.stdout,
                            matchers.StartsWith(f'usage: {name} [-h]'))
            if '--config-file' in done.stdout:
                configured.add(name)
        self.assertEqual(configured, {*_CONFIGURED})

    def test_unknown_option(self):
        for (name, _), done in self.outcomes(
                [(name, '--no-such-option') for name in self.names]):
            self.assert_one_line(done, f'see {name} --help')

    def test_wrong_configuration(self):
        """A binary, a directory and no file at all are named."""
        binary = self.directory / 'binary'
        binary.write_bytes(bytes(range(256)))
        for (name, _, path, *_), done in self.outcomes([
                (name, '--config-file', str(path), *words)
                for name, words in _CONFIGURED.items()
                for path in (binary, self.directory,
                             self.directory / 'absent')]):
            warning = (f'warning: {name} is deprecated, use '
                       f'cinder-backup-rows\n')
            done.stderr = done.stderr.removeprefix(warning)
            self.assert_one_line(done, path)
