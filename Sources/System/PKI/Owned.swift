// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A libcrypto object with one owner, freed when the owner lets go of it.
struct Owned: ~Copyable {
    let pointer: OpaquePointer
    private let free: @convention(c) (OpaquePointer?) -> Void

    /// Takes over what a libcrypto constructor returned; null becomes an error about `operation`.
    init(
        _ pointer: OpaquePointer?, _ free: @escaping @convention(c) (OpaquePointer?) -> Void, _ operation: String,
        kind: PKIError.Kind = .library
    ) throws(PKIError) {
        guard let pointer else { throw .openSSL(kind, operation) }
        self.pointer = pointer
        self.free = free
    }

    deinit { free(pointer) }

    /// Gives the object away: the caller frees it.
    consuming func release() -> OpaquePointer {
        let result = pointer
        discard self
        return result
    }
}

/// Throws what the error queue says unless a libcrypto call returned a positive value.
func check(_ result: CInt, _ operation: String, kind: PKIError.Kind = .library) throws(PKIError) {
    if result <= 0 { throw .openSSL(kind, operation) }
}

/// Runs a serialiser in libcrypto's `i2d` form: called with nil it tells the length, with a pointer it writes there.
func encoded(
    _ operation: String, _ serialise: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> CInt
) throws(PKIError) -> [UInt8] {
    let length = serialise(nil)
    try check(length, operation)
    var bytes = [UInt8](repeating: 0, count: Int(length))
    let written = bytes.withUnsafeMutableBufferPointer { buffer -> CInt in
        var cursor = buffer.baseAddress
        return serialise(&cursor)
    }
    guard written == length else { throw .openSSL(.library, operation) }
    return bytes
}

/// Collects what `write` puts into a memory BIO.
func written(_ operation: String, _ write: (OpaquePointer) -> CInt) throws(PKIError) -> [UInt8] {
    let bio = try Owned(BIO_new(BIO_s_mem()), { BIO_free($0) }, operation)
    try check(write(bio.pointer), operation)
    var result = [UInt8](repeating: 0, count: BIO_ctrl_pending(bio.pointer))
    let count = BIO_read(bio.pointer, &result, CInt(result.count))
    guard count == result.count else { throw .openSSL(.library, operation) }
    return result
}

/// Lets `read` read from a BIO over `bytes`.
func reading<Result>(
    _ bytes: [UInt8], _ operation: String, _ read: (OpaquePointer) throws(PKIError) -> Result
) throws(PKIError) -> Result {
    ERR_clear_error()
    guard bytes.count <= Limits.inputBytes else {
        throw PKIError(.malformed, operation, "input of \(bytes.count) bytes is too long")
    }
    let bio = try Owned(BIO_new(BIO_s_mem()), { BIO_free($0) }, operation)
    if !bytes.isEmpty {
        guard BIO_write(bio.pointer, bytes, CInt(bytes.count)) == bytes.count else {
            throw .openSSL(.library, operation)
        }
    }
    return try read(bio.pointer)
}

/// Bounds on what this module reads.
enum Limits {
    /// The longest PEM or DER input: a bundle of a few hundred certificates.
    static let inputBytes = 4 << 20
    /// Certificates of one bundle.
    static let certificates = 1024
    /// The longest token; Kubernetes' own are below 2 KiB.
    static let tokenBytes = 64 << 10
}
