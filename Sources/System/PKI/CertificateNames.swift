// SPDX-License-Identifier: Apache-2.0

import COpenSSL
package import LinuxSystem

/// The parts of a distinguished name that Kubernetes reads: the user (CN) and the groups (O).
package struct DistinguishedName: Hashable, Sendable, CustomStringConvertible {
    package var commonName: String
    package var organizations: [String]

    package init(commonName: String, organizations: [String] = []) {
        self.commonName = commonName
        self.organizations = organizations
    }

    /// `O=system:nodes,CN=system:node:pi`: for messages, not for parsing.
    package var description: String {
        (organizations.map { "O=\($0)" } + ["CN=\(commonName)"]).joined(separator: ",")
    }

    /// Reads an `X509_NAME`.
    init(reading name: OpaquePointer?) throws(PKIError) {
        commonName = ""
        organizations = []
        guard let name else { return }
        for index in 0..<X509_NAME_entry_count(name) {
            guard let entry = X509_NAME_get_entry(name, index) else { continue }
            let kind = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry))
            guard kind == NID_commonName || kind == NID_organizationName else { continue }
            let text = try Self.text(of: X509_NAME_ENTRY_get_data(entry))
            if kind == NID_commonName { commonName = text } else { organizations.append(text) }
        }
    }

    private static func text(of value: UnsafeMutablePointer<ASN1_STRING>?) throws(PKIError) -> String {
        var utf8: UnsafeMutablePointer<UInt8>?
        let length = ASN1_STRING_to_UTF8(&utf8, value)
        defer { CRYPTO_free(utf8, "", 0) }
        guard length >= 0 else { throw .openSSL(.malformed, "read a distinguished name") }
        let text = String(decoding: UnsafeBufferPointer(start: utf8, count: Int(length)), as: UTF8.self)
        // "admin\0.example" must never be taken for "admin" by code that handles C strings.
        guard !text.utf8.contains(0) else {
            throw PKIError(.malformed, "read a distinguished name", "it contains a null character")
        }
        return text
    }

    /// Makes an `X509_NAME`.
    func makeName() throws(PKIError) -> Owned {
        let operation = "write the distinguished name \(self)"
        let name = try Owned(X509_NAME_new(), X509_NAME_free, operation)
        for organization in organizations { try Self.add(organization, NID_organizationName, to: name, operation) }
        if !commonName.isEmpty { try Self.add(commonName, NID_commonName, to: name, operation) }
        return name
    }

    private static func add(
        _ text: String, _ kind: CInt, to name: borrowing Owned, _ operation: String
    ) throws(PKIError) {
        let bytes = Array(text.utf8)
        try check(
            X509_NAME_add_entry_by_NID(
                name.pointer, kind, V_ASN1_UTF8STRING, bytes, CInt(bytes.count), -1, 0),
            operation, kind: .malformed)
    }
}

/// What a certificate vouches for beside its subject: the host names and addresses that a client may connect to.
package struct SubjectAlternativeNames: Hashable, Sendable {
    package var dnsNames: [String]
    package var ipAddresses: [IPAddress]
    package var uris: [String]

    package init(dnsNames: [String] = [], ipAddresses: [IPAddress] = [], uris: [String] = []) {
        self.dnsNames = dnsNames
        self.ipAddresses = ipAddresses
        self.uris = uris
    }

    package var isEmpty: Bool { dnsNames.isEmpty && ipAddresses.isEmpty && uris.isEmpty }

    /// Reads `GENERAL_NAMES`, a stack that the caller keeps; e-mail addresses and other kinds are left out.
    init(reading names: OpaquePointer) throws(PKIError) {
        self.init()
        for index in 0..<max(0, OPENSSL_sk_num(names)) {
            guard let element = OPENSSL_sk_value(names, index) else { continue }
            var kind: CInt = 0
            let value = GENERAL_NAME_get0_value(element.assumingMemoryBound(to: GENERAL_NAME.self), &kind)
            guard kind == GEN_DNS || kind == GEN_IPADD || kind == GEN_URI, let value else { continue }
            let string = UnsafeMutablePointer<ASN1_STRING>(OpaquePointer(value))
            let bytes = Array(
                UnsafeBufferPointer(start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string))))
            switch kind {
            case GEN_IPADD:
                guard let address = IPAddress(bytes: bytes) else {
                    throw PKIError(.malformed, "read alternative names", "an address of \(bytes.count) bytes")
                }
                ipAddresses.append(address)
            default:
                let text = String(decoding: bytes, as: UTF8.self)
                guard !text.utf8.contains(0) else {
                    throw PKIError(.malformed, "read alternative names", "a name contains a null character")
                }
                if kind == GEN_DNS { dnsNames.append(text) } else { uris.append(text) }
            }
        }
    }

    /// Makes `GENERAL_NAMES`.
    func makeNames() throws(PKIError) -> Owned {
        let operation = "write alternative names"
        let names = try Owned(
            OPENSSL_sk_new_null(),
            { stack in OPENSSL_sk_pop_free(stack) { GENERAL_NAME_free($0?.assumingMemoryBound(to: GENERAL_NAME.self)) }
            },
            operation)
        for name in dnsNames { try Self.add(Array(name.utf8), GEN_DNS, to: names, operation) }
        for address in ipAddresses { try Self.add(address.bytes, GEN_IPADD, to: names, operation) }
        for uri in uris { try Self.add(Array(uri.utf8), GEN_URI, to: names, operation) }
        return names
    }

    private static func add(
        _ bytes: [UInt8], _ kind: CInt, to names: borrowing Owned, _ operation: String
    ) throws(PKIError) {
        // Names are IA5 strings (RFC 5280, section 4.2.1.6).
        guard kind == GEN_IPADD || bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw PKIError(.malformed, operation, "\(String(decoding: bytes, as: UTF8.self)) is not plain ASCII")
        }
        guard let name = GENERAL_NAME_new() else { throw .openSSL(.library, operation) }
        let string = ASN1_STRING_type_new(kind == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING)
        guard let string, ASN1_STRING_set(string, bytes, CInt(bytes.count)) == 1 else {
            ASN1_STRING_free(string)
            GENERAL_NAME_free(name)
            throw .openSSL(.library, operation)
        }
        GENERAL_NAME_set0_value(name, kind, string)
        guard OPENSSL_sk_push(names.pointer, name) > 0 else {
            GENERAL_NAME_free(name)
            throw .openSSL(.library, operation)
        }
    }
}
