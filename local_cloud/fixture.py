# SPDX-License-Identifier: Apache-2.0

"""A cloud for tests, in a temporary directory."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import os
import pathlib
from typing import Any

import fixtures

from local_cloud import clients
from local_cloud import cloud as local_cloud
from local_cloud import options
from local_cloud import remote
from local_cloud import tempest_conf
from local_cloud.machine import cloud_state
from local_cloud.machine import loopback


class LocalCloud(fixtures.Fixture):
    """Starts a cloud, and takes it down in its clean-up.

    If the tests are killed, ``cinder-backup-local-cloud down --abandoned``
    removes what they left.

    The services are this virtualenv's, or that of the program which the
    variable ``LOCAL_CLOUD_PROGRAM`` names.

    :param backup: the backup driver
    :param timeout: seconds that each service has to become ready
    :param others: see :class:`options.Options`
    :ivar cloud: its services can be stopped and started
    :ivar state: its files
    :ivar environment: variables for clients and for Tempest
    """

    cloud: local_cloud.Cloud
    state: cloud_state.State
    environment: Mapping[str, str]
    tempest_conf: pathlib.Path

    def __init__(self, backup: str = 'default', timeout: float = 60,
                 **others: Any):
        super().__init__()
        self._options = options.Options(backup, **others)
        self._timeout = timeout

    def _setUp(self) -> None:
        temporary = cloud_state.Temporary('fixture')
        self.state = cloud_state.State(temporary.cloud)
        # There are clients in this process, too.
        for name, value in loopback.without_proxy(os.environ).items():
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        program = os.environ.get(remote.ENVIRONMENT)
        self.cloud = (
            remote.Cloud(program, self.state, timeout=self._timeout)
            if program else
            local_cloud.Cloud(self.state, timeout=self._timeout))
        end = contextlib.ExitStack()
        self.addCleanup(end.close)
        end.enter_context(self.cloud.running(self._options, temporary))
        self.environment = clients.variables(self.state)
        self.tempest_conf = tempest_conf.path(self.state)


@contextlib.contextmanager
def started(*arguments: Any, **others: Any) -> Iterator[LocalCloud]:
    """Start a cloud; it is taken down at the end, also half-way.

    :param arguments: of :class:`LocalCloud`, as are the others
    :raises LocalCloudError: it does not start
    """
    local = LocalCloud(*arguments, **others)
    try:
        local.setUp()
    except fixtures.MultipleExceptions as error:
        # The cause, and then the report of the clean-up.
        raise error.args[0][1] from None
    try:
        yield local
    finally:
        local.cleanUp()
