# SPDX-License-Identifier: Apache-2.0

"""Cinder's WSGI application, for a web server, on a local cloud's SQLite."""

from local_cloud.inside import sqlite

sqlite.serialize_writers()

from cinder.wsgi import api  # noqa: E402

application = api.application
