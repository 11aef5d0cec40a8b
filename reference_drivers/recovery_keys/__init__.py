# SPDX-License-Identifier: Apache-2.0

"""Keys of volumes, wrapped for those who may recover them."""
