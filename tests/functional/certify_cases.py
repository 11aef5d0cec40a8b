# SPDX-License-Identifier: Apache-2.0

"""Certifications of a cloud that exists."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import threading

import fixtures
import psutil
import testtools

from cinder_backup_recovery_tests.certification import main
from cinder_backup_recovery_tests.cloud import run_mark
from local_cloud import fixture
from local_cloud import identity

PLANTED = 'planted-in-the-environment'


class CertifyCase(testtools.TestCase):
    """One local cloud for all, which is like any other."""

    verb: str
    #: How the cloud is started.
    options = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = fixture.LocalCloud(**cls.options)
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)
        cls.database = cls.local.state.root / 'data' / 'cinder.sqlite'

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.temporary = self.directory / 'tmp'
        self.temporary.mkdir()
        self.report = self.directory / 'report'
        self.variables = {
            **{name: value for name, value in os.environ.items()
               if not name.startswith(('OS_', 'TEMPEST_'))},
            **{name: value for name, value in
               self.local.environment.items() if name.startswith('OS_')},
            'TMPDIR': str(self.temporary), 'VENDOR_API_TOKEN': PLANTED,
            'PYTHONPATH': os.pathsep.join(sys.path),
            'PYTHONWARNINGS': 'ignore'}
        self.profile = self.directory / 'acme.yaml'
        self.profile.write_text(self.describe())

    def describe(self):
        """The profile."""
        raise NotImplementedError

    def start(self, *words, **variables):
        return subprocess.Popen(
            [sys.executable, '-m', main.__name__, self.verb, '--profile',
             str(self.profile), *words], env={**self.variables, **variables},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True)

    def certify(self, *words, **variables):
        process = self.start(*words, **variables)
        out, err = process.communicate(timeout=300)
        self.assertEqual([], os.listdir(self.temporary))
        return process.returncode, out, err

    def document(self):
        return json.loads((self.report / 'results.json').read_text())

    def left(self):
        """Resources of the cloud that were not there at first."""
        session = identity.Session(self.local.state)
        found = []
        for kind in ('volumes', 'backups', 'snapshots'):
            found += session.get('cinder', f'/{kind}?all_tenants=1')[kind]
        return found + self.users() + session.get(
            'keystone', f'/projects?name={run_mark.NAME}')['projects']

    def users(self):
        """The users that Tempest has made."""
        session = identity.Session(self.local.state)
        return [user for user in session.get('keystone', '/users')['users']
                if user['name'].startswith('tempest-')]

    def mistake(self, *words, **variables):
        """The one line that is printed, before anything is created."""
        code, _, err = self.certify(*words, **variables)
        return self.error(code, err)

    def error(self, code, err):
        self.assertEqual((3, 1), (code, err.count('\n')), err)
        self.assertTrue(err.startswith('error: '), err)
        return err

    def begin(self, *words):
        """Start a certification, and wait until its first test has ended."""
        process = self.start(*words)
        for stream in (process.stdout, process.stderr):
            self.addCleanup(stream.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        killer = threading.Timer(300, process.kill)
        killer.start()
        self.addCleanup(killer.cancel)
        for line in process.stdout:
            if line.startswith('['):
                return process
        return self.fail(process.stderr.read())

    def suspend(self, process):
        """Stop a certification's tests, which then wait for what follows.

        :returns: the processes of them
        """
        workers = psutil.Process(process.pid).children(recursive=True)
        for worker in workers:
            worker.suspend()
        self.addCleanup(self.kill, workers)
        return workers

    @staticmethod
    def kill(processes):
        for process in processes:
            # By its time of start, too: its pid may be another one's by now.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=600)
