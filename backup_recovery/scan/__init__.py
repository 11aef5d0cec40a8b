# SPDX-License-Identifier: Apache-2.0

"""The command ``scan``, which needs Cinder and the reference drivers."""
