# SPDX-License-Identifier: Apache-2.0

"""A real Keystone, Glance and Cinder on one machine."""
