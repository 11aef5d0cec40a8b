# SPDX-License-Identifier: Apache-2.0

"""The process of Barbican, which makes its schema when it starts."""

import argparse

from paste import deploy

from local_cloud import settings
from local_cloud.inside import http
from local_cloud.inside import sqlite


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('verb', choices=['serve'])
    parser.add_argument('descriptor', type=int)
    descriptor = parser.parse_args().descriptor
    sqlite.serialize_writers()
    paste = settings.packaged_file('barbican', 'barbican-api-paste.ini')
    http.start(descriptor, deploy.loadapp(f'config:{paste}'))
    http.until_terminated()


if __name__ == '__main__':
    main()
