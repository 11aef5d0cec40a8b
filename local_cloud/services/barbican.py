# SPDX-License-Identifier: Apache-2.0

"""Barbican: the keys of encrypted volumes and of their backups.

There is one for all regions of a cloud.
"""

import base64
import pathlib
import secrets

from local_cloud import settings
from local_cloud.services import base
from local_cloud.services import database


class Barbican(base.Service):
    """Its API, with the keys in a database, encrypted by itself."""

    name = 'barbican'
    health = '/healthcheck'

    @property
    def _home(self) -> pathlib.Path:
        return self.state.etc / self.name

    def configure(self) -> None:
        # Where its modules search for it: some read nothing else.
        settings.write(self._home / '.barbican' / 'barbican.conf', {
            'DEFAULT': {
                'debug': self.state.record['debug'],
                'use_stderr': 'true',
                'host_href': settings.url(self.state, self.name),
                'db_auto_create': 'true',
            },
            'database': database.section(self.state, self.name),
            'keystone_authtoken': settings.auth_token(self.state, self.name),
            'simple_crypto_plugin': {'kek': base64.urlsafe_b64encode(
                secrets.token_bytes(32)).decode()},
            # Nothing here listens to them.
            'oslo_messaging_notifications': {'driver': 'noop'},
        })

    def environment(self) -> dict[str, str]:
        return {'HOME': str(self._home)}
