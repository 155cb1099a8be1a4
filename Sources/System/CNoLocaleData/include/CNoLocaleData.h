// SPDX-License-Identifier: Apache-2.0

// Nothing to call: the target is linked for the data that it defines.
