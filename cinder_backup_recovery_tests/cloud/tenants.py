# SPDX-License-Identifier: Apache-2.0

"""The account of a user, where the configuration gives no administrator."""

from collections.abc import Iterator
import contextlib
from typing import Any

from tempest import clients
from tempest.common import credentials_factory

_VERSION = 'v3'


def is_one(conf: Any) -> bool:
    """Check whether the configuration has the account of a user only."""
    return bool(conf.auth.test_accounts_file) and (
        not credentials_factory.is_admin_available(_VERSION))


@contextlib.contextmanager
def account(conf: Any) -> Iterator[clients.Manager]:
    """Make the clients of the user; meanwhile no test has the account."""
    provider = credentials_factory.get_credentials_provider(
        'backup-recovery', identity_version=_VERSION)
    try:
        yield clients.Manager(
            provider.get_project_member_creds().credentials)
    finally:
        provider.clear_creds()
