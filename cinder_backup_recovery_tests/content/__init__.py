# SPDX-License-Identifier: Apache-2.0
"""The content of volumes: written, read and compared with a layout."""

from typing import Any

from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests.cloud import resources as test_resources
from cinder_backup_recovery_tests.content import access


def make(conf: Any, resources: test_resources.Resources
         ) -> access.VolumeContent:
    """Make the configured access to the content of volumes.

    :raises InvalidConfiguration: if this machine lacks what it needs
    """
    # Each way is imported only where it is used: os-brick is an extra.
    if conf.cinder_backup_recovery.content_access == connecting.ATTACHMENT:
        from cinder_backup_recovery_tests.content import attachments
        return attachments.AttachmentContent(
            resources, attachments.Host.from_config(conf))
    from cinder_backup_recovery_tests.content import images
    return images.ImageContent(
        resources, conf.cinder_backup_recovery.image_format)
