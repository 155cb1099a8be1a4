// SPDX-License-Identifier: Apache-2.0

import Glibc

/// free(3) of memory that a C library allocated and gave away.
package func freeCMemory(_ pointer: UnsafeMutableRawPointer?) { free(pointer) }
