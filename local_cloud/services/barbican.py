# SPDX-License-Identifier: Apache-2.0

"""Barbican: the keys of encrypted volumes and of their backups.

There is one for all regions of a cloud, or one for each.
"""

import base64
from importlib import metadata
import pathlib
import secrets

from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.services import base
from local_cloud.services import database


class Barbican(base.Service):
    """Its API, with the keys in a database, encrypted by itself.

    :param site: which has it; the first one's serves all that have none
    """

    #: Of the package, of the first one and of the user of all.
    name = 'barbican'
    health = '/healthcheck'

    def __init__(self, state: cloud_state.State,
                 site: sites.Site = sites.FIRST):
        self.name += site.suffix
        super().__init__(state)

    def module(self, *words: object) -> list[str]:
        return base.inside(Barbican.name, *words)

    def version(self) -> str:
        return metadata.version(Barbican.name)

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
            'keystone_authtoken': settings.auth_token(
                self.state, Barbican.name),
            'simple_crypto_plugin': {'kek': base64.urlsafe_b64encode(
                secrets.token_bytes(32)).decode()},
            # Nothing here listens to them.
            'oslo_messaging_notifications': {'driver': 'noop'},
        })

    def environment(self) -> dict[str, str]:
        return {'HOME': str(self._home)}
