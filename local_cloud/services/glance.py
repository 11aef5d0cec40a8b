# SPDX-License-Identifier: Apache-2.0

"""Glance: the images that volumes are read and written through."""

from local_cloud import settings
from local_cloud.services import base
from local_cloud.services import database


class Glance(base.Bootstrapped):
    """Its API, with the images in files."""

    name = 'glance'
    health = '/versions'

    def configure(self) -> None:
        images = self.state.data / 'images'
        stores = {name: self.state.data / name for name in
                  ('os_glance_staging_store', 'os_glance_tasks_store')}
        for directory in (images, *stores.values()):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.write(self.state.config('glance-api'), {
            'DEFAULT': {
                'debug': self.state.record['debug'],
                'use_stderr': 'true',
                'enabled_backends': 'files:file',
                'worker_self_reference_url': settings.url(
                    self.state, self.name),
                # The quickest; the tests compare every byte themselves.
                'hashing_algorithm': 'sha1',
                'lock_path': self.state.locks,
            },
            'database': database.section(self.state, self.name),
            'glance_store': {'default_backend': 'files'},
            'files': {'filesystem_store_datadir': images},
            'keystone_authtoken': settings.auth_token(self.state, self.name),
            'paste_deploy': {
                'flavor': 'keystone',
                'config_file': settings.packaged_file(
                    self.name, 'glance-api-paste.ini'),
            },
            'oslo_concurrency': {'lock_path': self.state.locks},
            # Nothing here listens to notifications.
            'oslo_messaging_notifications': {'driver': 'noop'},
            **{name: {'filesystem_store_datadir': directory}
               for name, directory in stores.items()},
        })

    def environment(self) -> dict[str, str]:
        return {'OS_GLANCE_CONFIG_DIR':
                str(self.state.config('glance-api').parent)}
