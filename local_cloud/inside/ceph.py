# SPDX-License-Identifier: Apache-2.0

"""The process of Ceph: starts the monitor and the OSD, and ends with them.

A cloud knows one process for each service. This one makes the cluster the
first time, holds a lock while it is ready, and ends as soon as a daemon ends.
The kernel kills the daemons when this process is killed.
"""

import argparse
import fcntl
import os
import sys

from local_cloud import exceptions
from local_cloud.machine import cloud_state
from local_cloud.machine import loopback
from local_cloud.machine import signals
from local_cloud.services import ceph


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('root')
    parser.add_argument('descriptor', type=int)
    arguments = parser.parse_args()
    state = cloud_state.State(arguments.root)
    state.load()
    service = ceph.Ceph(state)
    with loopback.reserve(arguments.descriptor) as kept, \
            open(service.ready_file, 'w') as ready:
        cluster = service.cluster(kept.getsockname()[1])
        try:
            with signals.heard():
                cluster.start()
                fcntl.flock(ready, fcntl.LOCK_EX)
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
                sys.exit('a daemon of Ceph has ended')
        except signals.Ended:
            pass
        except exceptions.LocalCloudError as error:
            # The end of a log is what people are shown: the reason after the
            # logs of the daemons, not before.
            reason, *logs = str(error).splitlines()
            sys.exit('\n'.join([*logs, reason]))
        finally:
            with signals.ignored():
                if cluster.directory.exists():
                    cluster.stop(keep=True)


if __name__ == '__main__':
    main()
