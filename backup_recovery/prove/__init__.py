# SPDX-License-Identifier: Apache-2.0

"""The command ``prove``, which needs Cinder and the reference drivers."""
