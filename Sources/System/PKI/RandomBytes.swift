// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// Unpredictable bytes from libcrypto's generator, which the kernel seeds (RAND_bytes(3)).
package func randomBytes(count: Int) throws(PKIError) -> [UInt8] {
    guard count > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: count)
    try check(RAND_bytes(&bytes, CInt(count)), "get \(count) random bytes")
    return bytes
}

/// Whether two byte strings are equal, found out in a time that depends on their lengths only (CRYPTO_memcmp(3)).
package func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && (left.isEmpty || CRYPTO_memcmp(left, right, left.count) == 0)
}

/// Whether two texts have equal UTF-8 bytes, found out in a time that depends on their lengths only.
package func constantTimeEqual(_ left: String, _ right: String) -> Bool {
    constantTimeEqual(Array(left.utf8), Array(right.utf8))
}
