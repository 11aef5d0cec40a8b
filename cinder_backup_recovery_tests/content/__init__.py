# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""The content of volumes: written, read and compared with a layout."""

from typing import Any

from cinder_backup_recovery_tests import config
from cinder_backup_recovery_tests import resources as test_resources
from cinder_backup_recovery_tests.content import access


def make(conf: Any, resources: test_resources.Resources
         ) -> access.VolumeContent:
    """Make the configured access to the content of volumes.

    :raises InvalidConfiguration: if this machine lacks what it needs
    """
    # Each way is imported only where it is used: os-brick is an extra.
    if conf.cinder_backup_recovery.content_access == config.ATTACHMENT:
        from cinder_backup_recovery_tests.content import attachments
        return attachments.AttachmentContent(
            resources, attachments.Host.from_config(conf))
    from cinder_backup_recovery_tests.content import images
    return images.ImageContent(resources)
