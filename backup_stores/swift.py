# SPDX-License-Identifier: Apache-2.0

"""Backups in the containers of a Swift account."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import json
from typing import Any
from typing import Self
import urllib.parse

from backup_stores import base
from backup_stores import chunked

Request = Callable[[str, str, dict[str, str], bytes | None],
                   tuple[int, Mapping[str, str], bytes]]
"""Sends method, path below the account's URL, headers and body; returns
status, headers and the body as it is stored, which may be compressed."""

# The metadata of an object, besides the user's own.
_METADATA = ('content-type', 'content-encoding', 'content-disposition',
             'x-delete-at')
_OWN = 'x-object-meta-'


class SwiftStore(chunked.ChunkedStore):
    """The containers of one account.

    :param request: sends a request with a token of the account
    """

    can_copy = True
    # A driver that wants to use Swift authenticates to Keystone first.
    address_option = 'backup_swift_auth_url'

    def __init__(self, request: Request) -> None:
        self._request = request

    def _send(self, method: str, container: str = '', name: str = '',
              query: Mapping[str, str] | None = None,
              body: bytes | None = None,
              headers: Mapping[str, str] | None = None,
              allowed: Sequence[int] = ()
              ) -> tuple[int, Mapping[str, str], bytes]:
        path = urllib.parse.quote(container, safe='')
        if name:
            path += f'/{urllib.parse.quote(name)}'
        if query:
            path += f'?{urllib.parse.urlencode(query)}'
        answer = self._request(method, path, dict(headers or {}), body)
        if answer[0] >= 300 and answer[0] not in allowed:
            raise base.StoreFailed(
                f'{method} of {name or container or "the account"} in Swift: '
                f'HTTP status {answer[0]}')
        return answer

    def _listing(self, container: str, prefix: str = ''
                 ) -> Iterator[dict[str, Any]]:
        marker = ''
        while True:
            status, _, body = self._send('GET', container, query={
                'prefix': prefix, 'format': 'json', 'marker': marker},
                allowed=(404,))
            page = [] if status == 404 else json.loads(body or b'[]')
            if not page:
                return
            yield from page
            marker = page[-1]['name']

    def check(self) -> None:
        """Raise an error if the account cannot be reached."""
        self._send('GET', query={'limit': '1'})

    def list(self, container: str, prefix: str = '') -> Sequence[str]:
        """Name the objects that begin with a prefix."""
        return [entry['name'] for entry in self._listing(container, prefix)]

    def contents(self, container: str) -> Mapping[str, Any]:
        """Return length and checksum of each object of a container."""
        return {entry['name']: (entry['bytes'], entry['hash'])
                for entry in self._listing(container)}

    def read(self, container: str, name: str) -> bytes | None:
        """Read an object, None if it does not exist."""
        status, _, body = self._send('GET', container, name, allowed=(404,))
        return None if status == 404 else body

    def write(self, container: str, name: str, data: bytes) -> None:
        """Make an object, or give it other bytes."""
        self._send('PUT', container, name, body=data, headers={
            'content-type': 'application/octet-stream',
            'content-length': str(len(data))})

    def delete(self, container: str, name: str) -> None:
        """Remove an object, if it exists."""
        self._send('DELETE', container, name, allowed=(404,))

    def has_container(self, container: str) -> bool:
        return self._send('GET', container, query={'limit': '1'},
                          allowed=(404,))[0] != 404

    def make_container(self, container: str) -> None:
        """Make a container, if it does not exist."""
        self._send('PUT', container)

    def remove_container(self, container: str) -> None:
        """Remove a container, if it exists and is empty."""
        self._send('DELETE', container, allowed=(404, 409))

    def copy_object(self, container: str, name: str, to: Self) -> None:
        """Copy an object with its metadata, type and date of expiry."""
        _, found, body = self._send('GET', container, name)
        headers = {key.lower(): value for key, value in found.items()}
        # Swift compares the etag, and refuses what was broken on the way.
        to._send('PUT', container, name, body=body, headers={
            'etag': headers['etag'], 'content-length': str(len(body)),
            **{key: value for key, value in headers.items()
               if key in _METADATA or key.startswith(_OWN)}})
