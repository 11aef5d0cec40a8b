# SPDX-License-Identifier: Apache-2.0

"""Variables of the shell that starts a cloud: proxies, other clouds."""

import json
import pathlib
import shlex
import sys

from tests import cloud_cases

# As an older openrc may have left them; each of them makes a client fail, or
# ask another cloud.
OLDER = {'OS_PROJECT_ID': '0123', 'OS_SYSTEM_SCOPE': 'all',
         'OS_CLOUD': 'another', 'OS_AUTH_TYPE': 'v3applicationcredential',
         'OS_APPLICATION_CREDENTIAL_ID': '4567', 'OS_TOKEN': '89'}
# Where nothing answers.
PROXY = {'http_proxy': 'http://127.0.0.1:9',
         'https_proxy': 'http://127.0.0.1:9'}
LIST = [str(pathlib.Path(sys.executable).parent / 'openstack'),
        'volume', 'backup', 'list', '-f', 'json']


class EnvironmentTest(cloud_cases.CloudCase):
    def test_proxy_and_older_openrc(self):
        """Clients ask this cloud, and without a proxy."""
        env = shlex.join([*cloud_cases.PROGRAM, 'env'])
        ask = shlex.join(LIST)
        # In the command's own environment, and in that of a shell which has
        # read an openrc since.
        older = ' '.join('='.join(one) for one in OLDER.items())
        script = (f'{ask}; export {older}; '
                  f'export OS_TEST_TIMEOUT=5 no_proxy=example.org; '
                  f'eval "$({env})"; {ask}; '
                  f'echo "$OS_TEST_TIMEOUT $no_proxy $NO_PROXY"; {env} --json')
        self.environment.update(OLDER, **PROXY)
        done = self.call('--quiet', 'run', '--', 'sh', '-c', script)
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        first, second, hosts, variables = done.stdout.splitlines()
        self.assertEqual([[], []], [json.loads(first), json.loads(second)])
        self.assertEqual('5' + ' example.org,127.0.0.1,localhost' * 2, hosts)
        self.assertFalse(set(OLDER) & set(json.loads(variables)))
        self.assert_nothing_left()
