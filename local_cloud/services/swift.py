# SPDX-License-Identifier: Apache-2.0

"""Swift: proxy, account, container and object server in one process."""

import pathlib
import secrets

from local_cloud import settings
from local_cloud.services import base

_STORES = ('account', 'container', 'object')

# Keystone's filters, and those of S3 for drivers that speak that.
_PIPELINE = ('catch_errors', 'gatekeeper', 'healthcheck', 'listing_formats',
             'authtoken', 's3api', 's3token', 'keystoneauth', 'slo', 'dlo')


class Swift(base.Service):
    """Clients use the first of its ports."""

    name = 'swift'
    more_ports = tuple(f'swift-{store}' for store in _STORES)
    health = '/healthcheck'

    @property
    def _directory(self) -> pathlib.Path:
        return self.state.etc / self.name

    def configure(self) -> None:
        directory = self._directory
        ports = self.state.record['ports']
        devices = self.state.data / self.name
        # The one device; the servers want its directory below "devices".
        (devices / 'disk').mkdir(mode=0o700, parents=True, exist_ok=True)
        common = {
            'swift_dir': directory,
            'bind_ip': settings.HOST,
            'workers': 0,
            'log_level': 'DEBUG' if self.state.record['debug'] else 'INFO',
        }
        settings.write(directory / 'swift.conf', {
            # Names of objects are hashed with these, so that a client cannot
            # choose a name that collides with another.
            'swift-hash': {'swift_hash_path_prefix': secrets.token_hex(16),
                           'swift_hash_path_suffix': secrets.token_hex(16)},
            'storage-policy:0': {'name': 'Policy-0', 'default': 'yes'},
        })
        for store in _STORES:
            settings.write(directory / f'{store}-server.conf', {
                'DEFAULT': {
                    **common, 'devices': devices, 'mount_check': 'false',
                    'bind_port': ports[f'swift-{store}'],
                    # What is lost with the machine need not reach its disk.
                    'fallocate_reserve': 0},
                'pipeline:main': {'pipeline': f'{store}-server'},
                f'app:{store}-server': {'use': f'egg:swift#{store}'},
            })
        auth_token = settings.auth_token(self.state, self.name)
        settings.write(directory / 'proxy-server.conf', {
            'DEFAULT': {**common, 'bind_port': ports[self.name]},
            'pipeline:main': {
                'pipeline': ' '.join((*_PIPELINE, 'proxy-server'))},
            'app:proxy-server': {'use': 'egg:swift#proxy',
                                 'account_autocreate': 'true'},
            **{f'filter:{name}': {'use': f'egg:swift#{name}'}
               for name in _PIPELINE if name != 'authtoken'},
            'filter:s3token': {
                'use': 'egg:swift#s3token',
                # Keystone has the keys of S3, and knows their users.
                'auth_uri': settings.url(self.state, 'keystone') + '/v3',
                **auth_token,
            },
            'filter:keystoneauth': {
                'use': 'egg:swift#keystoneauth',
                'reseller_prefix': ','.join(settings.ACCOUNTS.values()),
                'operator_roles': 'admin,member'},
            'filter:authtoken': {
                'paste.filter_factory':
                    'keystonemiddleware.auth_token:filter_factory',
                **auth_token,
                'delay_auth_decision': 'true',
            },
        })

    def command(self, *descriptors: int) -> list[str]:
        proxy, *stores = descriptors
        return self.module(self._directory, *stores, proxy)
