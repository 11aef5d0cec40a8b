# SPDX-License-Identifier: Apache-2.0

"""The keys of encrypted volumes and of their backups."""

import json
from typing import Any
from typing import Protocol

from tempest import clients
from tempest import config
from tempest.lib import exceptions as lib_exc
from tempest.lib.common import rest_client

from cinder_backup_recovery_tests import exceptions

#: The id that Cinder's conf_key_mgr gives its one key.
FIXED_ID = '00000000-0000-0000-0000-000000000000'


class Keys(Protocol):
    """A key manager, as far as the tests need it."""

    def exists(self, key_id: str) -> bool:
        """Check whether there is a key of this id."""

    def key(self, key_id: str) -> bytes:
        """Read a key.

        :raises ContentMismatch: there is none
        """

    def count(self) -> int:
        """Count the keys of the project."""

    def delete(self, key_id: str) -> None:
        """Delete a key of the tests', where it exists."""


def _missing(key_id: str) -> exceptions.ContentMismatch:
    return exceptions.ContentMismatch(
        f'key {key_id} does not exist: nothing that was encrypted with it can '
        f'be read')


class Fixed:
    """Cinder's conf_key_mgr: all volumes have one key.

    :param key: in hexadecimal digits, as ``fixed_key`` of cinder.conf
    :raises InvalidConfiguration: it is not
    """

    def __init__(self, key: str) -> None:
        try:
            self._key = bytes.fromhex(key)
        except ValueError:
            raise exceptions.InvalidConfiguration(
                '[cinder_backup_recovery] fixed_key is not hexadecimal'
            ) from None

    def exists(self, key_id: str) -> bool:
        """Check whether it is the id of that key."""
        return key_id == FIXED_ID

    def key(self, key_id: str) -> bytes:
        """Return the one key."""
        if not self.exists(key_id):
            raise _missing(key_id)
        return self._key

    def count(self) -> int:
        """Return that there is one."""
        return 1

    def delete(self, key_id: str) -> None:
        """Nothing: it stays."""


class Barbican(rest_client.RestClient):
    """The key manager of the catalogue, with the rights of one account."""

    def exists(self, key_id: str) -> bool:
        """Request a secret without its payload."""
        try:
            self.get(f'v1/secrets/{key_id}')
        except lib_exc.NotFound:
            return False
        return True

    def key(self, key_id: str) -> bytes:
        """Request a payload, which no log gets."""
        if not self.exists(key_id):
            raise _missing(key_id)
        # Tempest logs each answer, but not one that is read as a stream.
        response, _ = self.get(
            f'v1/secrets/{key_id}/payload', chunked=True,
            headers={'Accept': 'application/octet-stream'})
        try:
            self.expected_success(200, response.status)
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def count(self) -> int:
        """Request the number of secrets."""
        _, body = self.get('v1/secrets?limit=1')
        return json.loads(body)['total']

    def store(self, key: bytes) -> str:
        """Make a secret of a key, which no log gets.

        :returns: its id
        """
        _, body = self.post('v1/secrets', json.dumps({
            'secret_type': 'symmetric', 'algorithm': 'aes',
            'bit_length': 8 * len(key)}))
        key_id = json.loads(body)['secret_ref'].rpartition('/')[2]
        # put() would log it.
        url, headers, body = self.auth_provider.auth_request(
            'PUT', f'v1/secrets/{key_id}', {
                **self.get_headers(),
                'Content-Type': 'application/octet-stream'}, key,
            self.filters)
        response, _ = self.raw_request(url, 'PUT', headers, body,
                                       log_req_body='<omitted>')
        self.expected_success(204, response.status)
        return key_id

    def delete(self, key_id: str) -> None:
        """Delete a secret; again does nothing."""
        if self.exists(key_id):
            super().delete(f'v1/secrets/{key_id}')


def make(conf: Any, manager: clients.Manager) -> Keys:
    """Make the configured access to keys.

    :param manager: of the account that the volumes belong to
    """
    fixed = conf.cinder_backup_recovery.fixed_key
    if fixed:
        return Fixed(fixed)
    return barbican_in(conf.volume.region or conf.identity.region, manager)


def barbican_in(region: str, manager: clients.Manager) -> Barbican:
    """Make the access to the keys of an account in a region."""
    return Barbican(manager.auth_provider, 'key-manager', region,
                    **config.service_client_config())
