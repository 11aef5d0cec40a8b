# SPDX-License-Identifier: Apache-2.0

"""Becomes the gateway of S3, as soon as the cluster and its users exist."""

import argparse
import errno
import os
import subprocess
import sys

from local_cloud import settings
from local_cloud import sites
from local_cloud.inside import rbd
from local_cloud.machine import cloud_state
from local_cloud.servers import ceph_cluster
from local_cloud.services import ceph
from local_cloud.services import s3

# Many more than the tests have requests, and not Ceph's 512.
_THREADS = 32


def _add_user(service: s3.S3, site: sites.Site, client: list[str]) -> None:
    key, secret = service.keys(site)
    done = subprocess.run(
        ['radosgw-admin', *client, 'user', 'create', '--uid=cinder',
         f'--tenant={site.suffix.strip("-")}', '--display-name=cinder'],
        # Arguments of a program are shown to all users of the machine.
        env={**os.environ,
             'CEPH_ARGS': f'--access-key={key} --secret={secret}'},
        stdin=subprocess.DEVNULL, capture_output=True, text=True)
    # It exists where the gateway is started again.
    if done.returncode not in (0, errno.EEXIST):
        sys.exit(f'radosgw-admin exited with {done.returncode}: '
                 f'{done.stderr.strip()}')


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('root')
    state = cloud_state.State(parser.parse_args().root)
    state.load()
    service = s3.S3(state)
    rbd.wait_until_ready(state)
    client = ['--name', f'client.{ceph_cluster.GATEWAY}',
              '--conf', str(ceph.Ceph(state).cluster().conf)]
    for site in sites.of(state):
        _add_user(service, site, client)
    port = state.record['ports'][service.name]
    os.execvp('radosgw', [  # noqa: S606
        'radosgw', '-f', *client, '--log-file=', '--log-to-stderr=true',
        f'--rgw-thread-pool-size={_THREADS}',
        # With a cache it waits half a minute, after a kill, for the gateway
        # that it was before to say that its own is up to date.
        '--rgw-cache-enabled=false',
        # Without the last word each answer waits 40 ms.
        f'--rgw-frontends=beast endpoint={settings.HOST}:{port} '
        f'tcp_nodelay=1'])


if __name__ == '__main__':
    main()
