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
import functools
import json
from typing import Any
from typing import Self
import urllib.parse

from tempest.lib import exceptions as lib_exc
import urllib3

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.stores import chunked

# What is said of an object, beside what is the user's own.
_SAID = ('content-type', 'content-encoding', 'content-disposition',
         'x-delete-at')
_OWN = 'x-object-meta-'


class SwiftStore(chunked.ChunkedStore):
    """The containers of one account.

    It is the account of a project's own, as with ``backup_swift_auth =
    per_user``: where all backups are in one account of the operator's, a
    test would need the right to damage everybody's.
    """

    can_copy = True

    def __init__(self, containers: Any, objects: Any, account: Any,
                 option: str = '[object-storage] region') -> None:
        """Take what is needed.

        :param containers: Tempest's client of containers
        :param objects: Tempest's client of objects
        :param account: Tempest's client of the account
        :param option: what says of which region they are
        """
        self._container_client = containers
        self._object_client = objects
        # The bytes that are stored, also of an object that says that they
        # are encoded: urllib3 would undo what it knows, which with
        # backports.zstd is zstd, too.
        objects.http_obj.request = functools.partial(
            objects.http_obj.request, decode_content=False)
        self._account_client = account
        self._option = option

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

    @classmethod
    def second_from_config(cls, conf: Any, manager: Callable[[], Any]
                           ) -> Self:
        """Make the adapter of the same project's account elsewhere.

        :param conf: Tempest's configuration
        :param manager: makes the clients of a user of the project
        """
        group = conf.cinder_backup_recovery
        region = group.second_backup_store_region or group.second_region
        made = manager().object_storage
        return cls(made.ContainerClient(region=region),
                   made.ObjectClient(region=region),
                   made.AccountClient(region=region),
                   '[cinder_backup_recovery] second_backup_store_region')

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
                f'[object-storage] catalog_type and {self._option}: '
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

    def has_container(self, container: str) -> bool:
        """Look whether there is a container.

        :param container: of the account
        """
        with _failing(container):
            try:
                self._container_client.get(
                    f'{urllib.parse.quote(container, safe="")}?limit=1')
            except lib_exc.NotFound:
                return False
        return True

    def make_container(self, container: str) -> None:
        """Make a container, if there is none.

        :param container: of the account
        """
        with _failing(container):
            self._container_client.update_container(
                urllib.parse.quote(container, safe=''))

    def remove_container(self, container: str) -> None:
        """Remove a container, if there is one and nothing is in it.

        :param container: of the account
        """
        with _failing(container), contextlib.suppress(
                lib_exc.NotFound, lib_exc.Conflict):
            self._container_client.delete_container(
                urllib.parse.quote(container, safe=''))

    def copy_object(self, container: str, name: str, to: Self) -> None:
        """Copy an object with its metadata, type and date of expiry.

        :param container: of either account
        :param name: its name
        :param to: the other account
        """
        with _failing(name):
            head, body = self._object_client.get_object(
                *_quoted(container, name))
            said = {key: value for key, value in head.items()
                    if key.lower() in _SAID or key.lower().startswith(_OWN)}
            # Swift compares, and refuses what was broken on the way.
            to._object_client.create_object(
                *_quoted(container, name), body,
                headers={**said, 'etag': head['etag']})


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
