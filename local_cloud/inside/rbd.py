# SPDX-License-Identifier: Apache-2.0

"""Adaptations of Cinder's process to the Ceph of its cloud."""

import os
import sys
import time

from local_cloud.machine import cloud_state
from local_cloud.services import ceph


def add_bindings(state: cloud_state.State) -> None:
    """Let ``rados`` and ``rbd`` be imported.

    To be called before the import of Cinder's or os-brick's drivers, which
    import them.
    """
    sys.path.append(os.fspath(ceph.Ceph(state).bindings))


def adapt(state: cloud_state.State) -> None:
    """Change what drivers expect of a machine that is all theirs."""
    from cinder.volume.drivers import rbd as volume_driver
    from os_brick.initiator.connectors import rbd as connector
    keyring = ceph.Ceph(state).cluster().keyring

    def contents(given, cluster_name, user):
        return given or keyring.read_text()

    # os-brick only reads it below /etc/ceph, which is not ours.
    connector.RBDConnector._check_or_get_keyring_contents = (
        staticmethod(contents))
    # Only ceph-mgr has statistics of a pool. Without it the list of pools
    # in the monitor's answer is empty, where the driver expects its own;
    # "unknown" is its value for a pool without an answer.
    volume_driver.RBDDriver._get_pool_stats = (
        lambda driver: ('unknown', 'unknown'))


def wait_until_ready(state: cloud_state.State) -> None:
    """Wait for the cluster, without which the drivers do not start.

    The program that starts the cloud waits for the cluster too, with a limit,
    and ends this process when it does not come.
    """
    while not cloud_state.is_locked(ceph.Ceph(state).ready_file):
        time.sleep(0.05)
