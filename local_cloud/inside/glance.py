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

"""The process of Glance: make its schema, or serve its API."""

import os
import sys

from local_cloud.inside import http


def _application():
    from glance.wsgi import api
    return api.application


def bootstrap() -> None:
    """Make the schema."""
    from glance.cmd import manage
    configuration = os.path.join(os.environ['OS_GLANCE_CONFIG_DIR'],
                                 'glance-api.conf')
    sys.argv = ['glance-manage', '--config-file', configuration, 'db',
                'sync']
    manage.main()


if __name__ == '__main__':
    http.program(bootstrap, _application)
