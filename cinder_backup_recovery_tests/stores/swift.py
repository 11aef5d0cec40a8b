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


"""Backups in Swift, in the account of the project that owns them."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import json
from typing import Any
import urllib.parse

from tempest.lib import exceptions as lib_exc
import urllib3

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.stores import chunked


class SwiftStore(chunked.ChunkedStore):
    """The containers of one account.

    It is the account of a project's own, as with ``backup_swift_auth =
    per_user``: where all backups are in one account of the operator's, a
    test would need the right to damage everybody's.
    """

    def __init__(self, containers: Any, objects: Any, account: Any) -> None:
        """Take what is needed.

        :param containers: Tempest's client of containers
        :param objects: Tempest's client of objects
        :param account: Tempest's client of the account
        """
        self._container_client = containers
        self._object_client = objects
        self._account_client = account

    @classmethod
    def from_config(cls, conf: Any, manager: Callable[[], Any]
                    ) -> 'SwiftStore':
        """Make the adapter: Tempest's own options say where Swift is.

        :param conf: not used
        :param manager: makes the clients of a user of the project
        """
        made = manager()
        return cls(made.container_client, made.object_client,
                   made.account_client)

    def check(self) -> None:
        """Prove that the account can be reached.

        :raises InvalidConfiguration: if not
        """
        try:
            self._account_client.list_account_containers({'limit': 1})
        except (lib_exc.TempestException,
                urllib3.exceptions.HTTPError) as exc:
            raise exceptions.InvalidConfiguration(
                f'[cinder_backup_recovery] backup_store is swift, but the '
                f'account of the tests\' project cannot be reached by '
                f'[object-storage] catalog_type and region: '
                f'{" ".join(str(exc).split())}') from None

    def names(self, container: str, prefix: str) -> Sequence[str]:
        """Name the objects that begin with a prefix.

        :param container: of the account
        :param prefix: not empty
        """
        found: list[str] = []
        while True:
            query = urllib.parse.urlencode({
                'prefix': prefix, 'format': 'json',
                'marker': found[-1] if found else ''})
            with _failing(container):
                try:
                    _, body = self._container_client.get(
                        f'{urllib.parse.quote(container, safe="")}?{query}')
                except lib_exc.NotFound:
                    return found
            page = [one['name'] for one in json.loads(body or '[]')]
            if not page:
                return found
            found += page

    def read(self, container: str, name: str) -> bytes | None:
        """Read an object, None if there is none.

        :param container: of the account
        :param name: its name
        """
        with _failing(name):
            try:
                _, body = self._object_client.get_object(
                    *_quoted(container, name))
            except lib_exc.NotFound:
                return None
        return body

    def write(self, container: str, name: str, data: bytes) -> None:
        """Make an object, or give it other bytes.

        :param container: of the account
        :param name: its name
        :param data: all of its bytes
        """
        with _failing(name):
            self._object_client.create_object(*_quoted(container, name), data)

    def delete(self, container: str, name: str) -> None:
        """Remove an object, if there is one.

        :param container: of the account
        :param name: its name
        """
        with _failing(name), contextlib.suppress(lib_exc.NotFound):
            self._object_client.delete_object(*_quoted(container, name))


def _quoted(container: str, name: str) -> tuple[str, str]:
    return (urllib.parse.quote(container, safe=''), urllib.parse.quote(name))


@contextlib.contextmanager
def _failing(what: str) -> Iterator[None]:
    try:
        yield
    except (lib_exc.RestClientException,
            urllib3.exceptions.HTTPError) as exc:
        raise exceptions.StoreFailed(
            f'{what} in Swift: {" ".join(str(exc).split())}') from None
