# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Servers that refuse to be root's."""

import os
import pwd


def prefix(account: str) -> list[str]:
    """The start of a command that root must not run; empty for others.

    It runs as the account that its package has made, and may all the same
    pass through root's directories, as the state directory is one. Without
    the last flag, access(2) would deny what open(2) grants.
    """
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(account)
    return ['setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}',
            '--clear-groups', '--inh-caps=+dac_override',
            '--ambient-caps=+dac_override',
            '--securebits=+no_setuid_fixup', '--']


def missing(account: str) -> list[str]:
    """The account, where root needs it and it does not exist."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam(account)
    except KeyError:
        return [f'the account {account}']
    return []
