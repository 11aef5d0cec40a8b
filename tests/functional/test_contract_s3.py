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

"""The documentation's example, on the S3 API of a real Swift."""

import pathlib
import sys

import fixtures
import testtools

from local_cloud import fixture
from local_cloud import identity
from local_cloud import settings
from reference_drivers.contract import recovery

_EXAMPLES = pathlib.Path(__file__).parents[2] / 'doc' / 'source' / 'examples'

# Where the driver is found by its name, as in a vendor's virtualenv.
sys.path.append(str(_EXAMPLES))

import test_verified_s3 as example  # noqa: E402


class OnSwift:
    """One Swift and one Keystone for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        local = fixture.LocalCloud(
            'swift', without=('cinder-volume', 'cinder-backup'))
        local.setUp()
        cls.addClassCleanup(local.cleanUp)
        session = identity.Session(local.state)
        user, = session.get('keystone', '/users?name=' +
                            settings.ADMIN_USER)['users']
        key = session.request(
            'POST', 'keystone', f'/users/{user["id"]}/credentials/OS-EC2',
            json={'tenant_id': session.project_id})['credential']
        cls.variables = {
            'S3_ENDPOINT_URL': settings.url(local.state, 'swift'),
            'S3_ACCESS_KEY': key['access'],
            'S3_SECRET_KEY': key['secret'],
        }

    def setUp(self):
        for name, value in self.variables.items():
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        super().setUp()


class VerifiedS3Test(OnSwift, example.VerifiedS3Test):
    many = 200


class InTreeS3Test(OnSwift, example.S3, recovery.RecoveryContract,
                   testtools.TestCase):
    """Cinder's own driver, whose records say nothing of the storage."""

    driver = 'cinder.backup.drivers.s3.S3BackupDriver'
