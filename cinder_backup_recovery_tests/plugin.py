# SPDX-License-Identifier: Apache-2.0

"""The plugin, as Tempest loads it."""

import os
from typing import Any

from oslo_config import cfg
from tempest import config
from tempest.test_discover import plugins

from cinder_backup_recovery_tests import capabilities
from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import connecting


class CinderBackupRecoveryTempestPlugin(plugins.TempestPlugin):
    """Tests and options of this package."""

    def load_tests(self) -> tuple[str, str]:
        """Say where the tests are.

        :returns: the directory of the tests and the top level directory
        """
        package = os.path.dirname(os.path.abspath(__file__))
        return package, os.path.dirname(package)

    def register_opts(self, conf: cfg.ConfigOpts) -> None:
        """Add the options to Tempest's configuration.

        :param conf: where to register them
        """
        config.register_opt_group(
            conf, connecting.GROUP, connecting.OPTIONS)
        config.register_opt_group(
            conf, capabilities.GROUP, capabilities.OPTIONS)

    def get_opt_lists(self) -> list[tuple[str, list[Any]]]:
        """List the options, for Tempest's sample file.

        :returns: names of groups with their options
        """
        return recovery_config.list_opts()
