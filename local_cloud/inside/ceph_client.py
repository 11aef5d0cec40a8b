# SPDX-License-Identifier: Apache-2.0

"""Commands for a Ceph cluster, run by the distribution's own Python.

The bindings belong to that one, which need not be ours, so this imports
nothing of this project. The program ``ceph`` does the same, and takes half a
second for each command.
"""

import json
import sys
import time
from typing import Any

import rados
import rbd

# A cluster that hangs must not hang its client. What is tried again until the
# time is over has less of it each time.
_OPTIONS = {'client_mount_timeout': '2', 'rados_osd_op_timeout': '5'}


def _connect(conf: str, timeout: float, deadline: float):
    options = {**_OPTIONS, 'rados_mon_op_timeout': str(int(timeout))}
    while True:
        cluster = rados.Rados(conffile=conf, name='client.admin',
                              conf=options)
        try:
            cluster.connect()
            return cluster
        except rados.Error:
            cluster.shutdown()
            if time.monotonic() > deadline:
                raise


def _command(cluster, **words: Any):
    code, out, text = cluster.mon_command(
        json.dumps({'format': 'json', **words}), b'')
    if code:
        sys.exit(f'{words["prefix"]}: {text}')
    return json.loads(out) if out.strip() else None


def _wait_for_pool(cluster, pool: str, deadline: float) -> None:
    """Wait until a pool's placement groups can be written to."""
    with cluster.open_ioctx(pool) as ioctx:
        while True:
            try:
                rbd.RBD().pool_init(ioctx, True)
                ioctx.write_full('ready', b'')
                ioctx.remove_object('ready')
                return
            except (rados.Error, rbd.Error):
                if time.monotonic() > deadline:
                    raise


def main() -> None:
    task = json.loads(sys.argv[1])
    deadline = time.monotonic() + task['timeout']
    cluster = _connect(task['conf'], task['timeout'], deadline)
    for words in task['commands']:
        _command(cluster, **words)
    if task['pools'] is not None:
        while not _command(cluster, prefix='osd stat')['num_up_osds']:
            if time.monotonic() > deadline:
                sys.exit('the OSD is not up')
            time.sleep(0.05)
        for pool in task['pools']:
            _wait_for_pool(cluster, pool, deadline)
    cluster.shutdown()


if __name__ == '__main__':
    main()
