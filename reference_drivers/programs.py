# SPDX-License-Identifier: Apache-2.0

"""Parts that the programs of this package share."""

import argparse
import sys
from typing import Any
from typing import NoReturn

from cinder import context
from cinder import exception
from cinder import objects
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import importutils

CONF = cfg.CONF

GOOD, BAD, FAILED = 0, 1, 3


class Parser(argparse.ArgumentParser):
    """A parser whose errors have the exit status of all other errors."""

    def error(self, message: str) -> NoReturn:
        # argparse exits with 2, which a certification uses otherwise.
        self.exit(FAILED, f'error: {message}; see {self.prog} --help\n')


def add_config_file(parser: argparse.ArgumentParser) -> None:
    """Add the option for Cinder's configuration."""
    parser.add_argument('--config-file', action='append', default=[],
                        help="Cinder's configuration")


def configure(files: list[str]) -> None:
    """Read Cinder's configuration, as its own programs do.

    :param files: paths; where Cinder looks by itself if there are none
    :raises InvalidInput: it cannot be read
    """
    objects.register_all()
    logging.register_options(CONF)
    importutils.import_module('cinder.backup.manager')
    try:
        CONF([], project='cinder', default_config_files=files or None)
        logging.setup(CONF, 'cinder')
    except (cfg.Error, OSError, UnicodeDecodeError,
            logging.LogConfigError) as err:
        raise exception.InvalidInput(
            reason=f'the configuration {", ".join(files) or "of Cinder"} '
                   f'cannot be read: {err}') from err


def context_of(token: str | None = None, project: str | None = None,
               endpoint: str | None = None) -> Any:
    """Make the context of a driver outside of a request.

    :param token: of a project, where each has an account of its own
    :param project: its id
    :param endpoint: the URL of its account, where the configuration leaves
        that to the service catalogue
    """
    made = context.get_admin_context()
    if token:
        made.auth_token, made.project_id = token, project
    if endpoint and 'swift_catalog_info' in CONF:
        kind, _, interface = CONF.swift_catalog_info.split(':')
        made.service_catalog = [{'type': kind, 'endpoints': [
            {'region': CONF.backup_swift_region_name, interface: endpoint}]}]
    return made


def has_accounts(driver: Any) -> bool:
    """Return whether each project's backups are in an account of its own.

    :param driver: a reference driver, or its class
    """
    return getattr(driver, 'store_kind', None) == 'swift' and (
        CONF.backup_swift_auth != 'single_user')


def fail(error: Exception) -> int:
    """Report an error in one line.

    :returns: the exit code
    """
    sys.stderr.write(f'error: {" ".join(str(error).split())}\n')
    return FAILED


def import_driver(name: str) -> type:
    """Import the class of a driver.

    :param name: as ``backup_driver`` names it
    :raises InvalidInput: no class of that name is installed
    """
    try:
        found = importutils.import_class(name)
    except (ImportError, ValueError) as err:
        # What oslo.utils says of a missing class is a traceback.
        reason = str(err).partition(' ([')[0]
        raise exception.InvalidInput(
            reason=f'{name} is not the class of an installed driver '
                   f'({reason})') from err
    if not isinstance(found, type):
        raise exception.InvalidInput(
            reason=f'{name} is not the class of a driver')
    return found
