# SPDX-License-Identifier: Apache-2.0

"""S3: a RADOS Gateway on the cloud's Ceph."""

import hashlib
import subprocess

from local_cloud import sites
from local_cloud.services import base


class S3(base.Service):
    """The gateway, with a user for each site.

    The users are tenants: each has buckets that the other one does not see,
    by whatever name.
    """

    name = 's3'
    has_password = True

    def keys(self, site: sites.Site) -> tuple[str, str]:
        """The access key and the secret key of a site's user.

        Neither is a word: both are removed from the texts of a report.
        """
        secret = self.state.record['passwords'][self.name]
        return hashlib.sha256(
            f'{site.name} {secret}'.encode()).hexdigest()[:20], secret

    def command(self, *descriptors: int) -> list[str]:
        return self.reserving(descriptors, *self.module(self.state.root))

    def version(self) -> str:
        # ceph version 16.2.15 (618f...) pacific (stable)
        return subprocess.run(
            ['radosgw', '--version'], capture_output=True, text=True,
            check=True).stdout.split()[2]
