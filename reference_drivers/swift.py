# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Swift, as Cinder's Swift driver has it."""

from collections.abc import Iterator
import re
from typing import Any
import urllib.parse

from cinder import interface
from cinder.backup.drivers import swift
from oslo_config import cfg

from reference_drivers import hooks
from reference_drivers import options
from reference_drivers.verification import store as stores

CONF = cfg.CONF

_PAGE = 10000
_OBJECT = re.compile(r'(.*_backup_[0-9a-f-]{36})(-[0-9]+|_metadata|'
                     r'_sha256file)\Z')
_MD5 = re.compile(r'[0-9a-f]{32}\Z')


class SwiftStore(stores.Store):
    """Containers of an account of Swift."""

    def clone(self) -> 'SwiftStore':
        # A connection of swiftclient serves one request at a time.
        driver = type(self.driver)(self.driver.context)
        if not hasattr(driver, 'conn'):
            driver.initialize()
        return type(self)(driver)

    def close(self) -> None:
        self.driver.conn.close()

    def url(self, container: str, prefix: str) -> str:
        # Not the endpoint: that has another name at another site, and the
        # account in it may be that of whoever exports.
        return f'swift://{urllib.parse.quote(f"{container}/{prefix}")}'

    def _pages(self, container: str, **query: Any
               ) -> Iterator[dict[str, Any]]:
        marker = ''
        while True:
            _, page = self.driver.conn.get_container(
                container, marker=marker, limit=_PAGE,
                headers=self.driver._headers(), **query)
            yield from page
            if not page:
                return
            marker = page[-1].get('name') or page[-1]['subdir']

    def entries(self, container: str, prefix: str
                ) -> Iterator[stores.Entry]:
        for one in self._pages(container, prefix=prefix):
            md5 = one.get('hash')
            yield stores.Entry(
                one['name'], one.get('bytes'),
                # That of a large object is not the MD5 of its bytes, and
                # the listing does not tell it from others but by its form
                # or by a slo_etag.
                md5 if isinstance(md5, str) and _MD5.match(md5) and
                not one.get('slo_etag') else None)

    def pieces(self, container: str, name: str,
               extra_metadata: Any = None) -> Iterator[bytes]:
        _, body = self.driver.conn.get_object(
            container, name, resp_chunk_size=stores.PIECE,
            headers=self.driver._headers())
        try:
            yield from body
        finally:
            close = getattr(body, 'close', None)
            if close is not None:
                close()

    def locate(self, backup_id: str, volume_id: str | None = None
               ) -> tuple[str, str] | None:
        # volume_<V>/<time>/az_<az>_backup_<B>-00001: walked as directories,
        # so that no more than one object of a backup is ever listed.
        container = self.driver.backup_default_container
        volumes = ([f'volume_{volume_id}/'] if volume_id else
                   self._directories(container, 'volume_'))
        for volume in volumes:
            for moment in self._directories(container, volume):
                for prefix in self._backups(container, moment):
                    if prefix.endswith(f'_backup_{backup_id}'):
                        return container, prefix
        return None

    def _backups(self, container: str, moment: str) -> Iterator[str]:
        """The prefixes of the backups that were begun in one second."""
        marker = ''
        while True:
            _, page = self.driver.conn.get_container(
                container, prefix=moment, marker=marker, limit=1,
                headers=self.driver._headers())
            if not page:
                return
            name = page[0]['name']
            found = _OBJECT.match(name)
            if found:
                yield found[1]
            # After all objects of this backup.
            marker = f'{found[1]}~' if found else name

    def _directories(self, container: str, prefix: str) -> list[str]:
        return [one['subdir'] for one in
                self._pages(container, prefix=prefix, delimiter='/')
                if 'subdir' in one]


@interface.backupdriver
class SwiftBackupDriver(hooks.VerifyMixin, swift.SwiftBackupDriver):
    """Backups in Swift, with records that can be trusted."""

    store_kind = 'swift'

    def initialize(self) -> None:
        super().initialize()
        # Cinder's driver waits for ever.
        if self.conn.timeout is None:
            self.conn.timeout = CONF[options.GROUP].timeout

    def get_store(self) -> SwiftStore:
        return SwiftStore(self)
