# SPDX-License-Identifier: Apache-2.0

"""Swift, as Cinder's Swift driver has it."""

from collections.abc import Callable
from collections.abc import Iterator
import copy
import re
from typing import Any
import urllib.parse

from cinder import exception
from cinder import interface
from cinder.backup.drivers import swift
from oslo_config import cfg

from reference_drivers import hooks
from reference_drivers import options
from reference_drivers import programs
from reference_drivers.verification import store as stores

CONF = cfg.CONF

_PAGE = 10000
_MD5 = re.compile(r'[0-9a-f]{32}\Z')


class SwiftStore(stores.FlatStore):
    """Containers of an account of Swift."""

    def clone(self) -> 'SwiftStore':
        # A connection of swiftclient serves one request at a time. Its token
        # and its URL are copied, too, or each reader would ask Keystone for
        # its own; one that has expired is replaced by the connection itself.
        # Cinder's constructor would make one, but drops the connections to
        # the database and logs, which a native thread must not do under
        # eventlet: all that waited for their lock would wait without an end.
        driver = copy.copy(self.driver)
        driver.conn = copy.copy(self.driver.conn)
        driver.conn.http_conn = None
        return type(self)(driver)

    def close(self) -> None:
        self.driver.conn.close()

    def url(self, container: str, prefix: str) -> str:
        # Not the endpoint: that has another name at another site, and the
        # account in it may be that of the user who exports.
        return f'swift://{urllib.parse.quote(f"{container}/{prefix}")}'

    def _pages(self, function: Callable[..., Any], *args: str, **query: Any
               ) -> Iterator[dict[str, Any]]:
        marker = ''
        while True:
            _, page = function(*args, marker=marker, limit=_PAGE,
                               headers=self.driver._headers(), **query)
            yield from page
            if not page:
                return
            marker = page[-1].get('name') or page[-1]['subdir']

    def _listing(self, container: str, **query: Any
                 ) -> Iterator[dict[str, Any]]:
        return self._pages(self.driver.conn.get_container, container, **query)

    def entries(self, container: str, prefix: str
                ) -> Iterator[stores.Entry]:
        for one in self._listing(container, prefix=prefix):
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

    def containers(self) -> Iterator[str]:
        for one in self._pages(self.driver.conn.get_account):
            yield one['name']

    def directories(self, container: str, prefix: str) -> Iterator[str]:
        for one in self._listing(container, prefix=prefix, delimiter='/'):
            if 'subdir' in one:
                yield one['subdir']

    def first(self, container: str, prefix: str, after: str) -> str | None:
        _, page = self.driver.conn.get_container(
            container, prefix=prefix, marker=after, limit=1,
            headers=self.driver._headers())
        return page[0]['name'] if page else None


@interface.backupdriver
class SwiftBackupDriver(hooks.VerifyMixin, swift.SwiftBackupDriver):
    """Backups in Swift, with records that can be trusted."""

    store_kind = 'swift'

    def initialize(self) -> None:
        super().initialize()
        # Cinder's driver waits without a limit.
        if self.conn.timeout is None:
            self.conn.timeout = CONF[options.GROUP].timeout

    def connect(self) -> None:
        if hasattr(self, 'conn'):
            return
        if programs.has_accounts(self) and not self.context.auth_token:
            raise exception.InvalidInput(reason=(
                'backup_swift_auth is per_user, so that Swift must be asked '
                'with a token of the project whose backups are verified: see '
                '--os-token'))
        self.initialize()

    def check_access(self, backup: Any) -> None:
        # Its container is missing in any other account.
        if programs.has_accounts(self) and (
                backup.project_id != self.context.project_id):
            raise exception.InvalidBackup(reason=(
                f'it is in the account of project {backup.project_id}, of '
                f'which a token is needed'))

    def get_store(self) -> SwiftStore:
        return SwiftStore(self)
