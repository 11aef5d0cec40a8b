# SPDX-License-Identifier: Apache-2.0

"""The plugin, as Tempest loads it."""

import os
from typing import Any

from oslo_config import cfg
from tempest import config
from tempest.test_discover import plugins

from cinder_backup_recovery_tests import config as recovery_config


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
            conf, recovery_config.backup_recovery_group,
            recovery_config.BackupRecoveryGroup)
        config.register_opt_group(
            conf, recovery_config.backup_recovery_feature_group,
            recovery_config.BackupRecoveryFeatureGroup)

    def get_opt_lists(self) -> list[tuple[str, list[Any]]]:
        """List the options, for Tempest's sample file.

        :returns: names of groups with their options
        """
        return recovery_config.list_opts()
