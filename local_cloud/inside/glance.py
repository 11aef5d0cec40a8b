# SPDX-License-Identifier: Apache-2.0

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
