# SPDX-License-Identifier: Apache-2.0

"""Keystone: the tokens, the users and the catalogue."""

from local_cloud import settings
from local_cloud.services import base
from local_cloud.services import database


class Keystone(base.Bootstrapped):
    """Its API; the bootstrap makes its keys and the catalogue, too."""

    name = 'keystone'
    health = '/v3'

    def configure(self) -> None:
        keys = self.state.data / 'keystone-keys'
        settings.write(self.state.config(self.name), {
            'DEFAULT': {'debug': self.state.record['debug'],
                        'use_stderr': 'true'},
            'database': database.section(self.state, self.name),
            'cache': {'backend': 'oslo_cache.dict'},
            'token': {'provider': 'fernet'},
            'fernet_tokens': {'key_repository': keys / 'fernet'},
            # Keystone wants keys for receipts, which only a second factor
            # would make use of.
            'fernet_receipts': {'key_repository': keys / 'fernet'},
            'credential': {'key_repository': keys / 'credential'},
            # Every process of the tests signs in with its own users; the
            # usual strength of a hash is for passwords that people choose.
            'identity': {'password_hash_rounds': 4},
        })
        for name in ('fernet', 'credential'):
            (keys / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        return {'OS_KEYSTONE_CONFIG_DIR':
                str(self.state.config(self.name).parent)}
