# SPDX-License-Identifier: Apache-2.0

"""A cloud whose services are installed in another virtualenv than this one.

Drivers are tested in releases of Cinder that cannot share a virtualenv with
the services that the cloud is made of.
"""

import os
import subprocess

from local_cloud import cloud as local_cloud
from local_cloud import console
from local_cloud import exceptions
from local_cloud import options
from local_cloud.machine import cloud_state

ENVIRONMENT = 'LOCAL_CLOUD_PROGRAM'
"""Names the program ``cinder-backup-local-cloud`` of that virtualenv."""


class Cloud(local_cloud.Cloud):
    """A cloud that another virtualenv's program starts and takes down.

    Queries of the cloud, and stops of its services, are done here.
    """

    def __init__(self, program: str, state: cloud_state.State,
                 say: console.Console | None = None, timeout: float = 60):
        super().__init__(state, say, timeout)
        self._program = program

    def start(self, asked: options.Options) -> None:
        self._run('up', *asked.words(), '--timeout', str(self.timeout))
        self.state.load()

    def down(self, keep: bool = False) -> None:
        self._run('down', *(['--keep'] if keep else []))

    def _run(self, verb: str, *arguments: str) -> None:
        # What is imported here is not for the other virtualenv.
        variables = {name: value for name, value in os.environ.items()
                     if name not in ('PYTHONPATH', 'PYTHONHOME')}
        try:
            done = subprocess.run(
                [self._program, '--quiet', '--state-dir',
                 str(self.state.root), verb, *arguments],
                env=variables, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        except OSError as error:
            raise exceptions.MissingPackage(
                f'{self._program} cannot be run: {error.strerror}; '
                f'{ENVIRONMENT} must name the program of the virtualenv with '
                f'the services of the local cloud') from error
        if done.returncode:
            raise exceptions.ServiceFailed(
                f'{self._program} {verb} ended with {done.returncode}: '
                f'{done.stderr.strip()}')
