// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import PKI

/// What a CertificateSigningRequest may say, and how its status may change (upstream:
/// `pkg/apis/certificates/validation`).
enum SigningRequestRules {
    /// The key usages that certificates.k8s.io/v1 names.
    static let usages: Set<String> = [
        "signing", "digital signature", "content commitment", "key encipherment", "key agreement", "data encipherment",
        "cert sign", "crl sign", "encipher only", "decipher only", "any", "server auth", "client auth", "code signing",
        "email protection", "s/mime", "ipsec end system", "ipsec tunnel", "ipsec user", "timestamping", "ocsp signing",
        "microsoft sgc", "netscape sgc",
    ]

    /// The shortest life that may be asked for, in seconds.
    static let minimumSeconds = 600

    /// The PKCS #10 request in an object, nil when it cannot be read or its signature does not hold.
    static func request(of object: KubeObject) -> CertificateSigningRequest? {
        guard let bytes = Base64.decode(object.spec["request"]?.string ?? "") else { return nil }
        // Validation refuses what this cannot read, and says why.
        return try? CertificateSigningRequest(pem: bytes)
    }

    static func problems(ofNew object: KubeObject) -> [StatusError.Cause] {
        let spec = object.spec
        return requestProblems(spec) + usageProblems(spec) + signerProblems(spec["signerName"]?.string ?? "")
            + lifetimeProblems(spec)
    }

    private static func requestProblems(_ spec: JSON) -> [StatusError.Cause] {
        let text = spec["request"]?.string ?? ""
        let reason: String
        if let bytes = Base64.decode(text), pemLabel(bytes) == "CERTIFICATE REQUEST" {
            do throws(PKIError) {
                _ = try CertificateSigningRequest(pem: bytes)
                return []
            } catch {
                reason = error.reason
            }
        } else {
            reason = "PEM block type must be CERTIFICATE REQUEST"
        }
        return [invalid("spec.request", "\"\(text)\"", reason)]
    }

    /// The label of the first PEM block.
    private static func pemLabel(_ bytes: [UInt8]) -> String? {
        let lines = bytes.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") })
        let begin = "-----BEGIN "
        for line in lines {
            let text = String(decoding: line, as: UTF8.self)
            if text.hasPrefix(begin), text.hasSuffix("-----") {
                return String(text.dropFirst(begin.count).dropLast(5))
            }
        }
        return nil
    }

    private static func usageProblems(_ spec: JSON) -> [StatusError.Cause] {
        let named = spec["usages"]?.elements.compactMap(\.string) ?? []
        if named.isEmpty {
            return [cause("FieldValueRequired", "spec.usages", "Required value: usages must be provided")]
        }
        var seen: Set<String> = []
        var problems: [StatusError.Cause] = []
        for (index, usage) in named.enumerated() {
            let field = "spec.usages[\(index)]"
            if !usages.contains(usage) {
                let supported = usages.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
                problems.append(
                    cause(
                        "FieldValueNotSupported", field,
                        "Unsupported value: \"\(usage)\": supported values: \(supported)"))
            } else if !seen.insert(usage).inserted {
                problems.append(cause("FieldValueDuplicate", field, "Duplicate value: \"\(usage)\""))
            }
        }
        return problems
    }

    private static func signerProblems(_ signer: String) -> [StatusError.Cause] {
        let field = "spec.signerName"
        if signer.isEmpty { return [cause("FieldValueRequired", field, "Required value")] }
        if signer == "kubernetes.io/legacy-unknown" {
            return [
                invalid(field, "\"\(signer)\"", "the legacy signerName is not allowed via this API version")
            ]
        }
        let parts = signer.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[1].isEmpty, parts[0].contains("."), NameSyntax.dns1123Subdomain(parts[0]).isEmpty
        else {
            return [
                invalid(
                    field, "\"\(signer)\"",
                    "must be a fully qualified domain and path of the form 'example.com/signer-name'")
            ]
        }
        let wrong = parts[1].split(separator: ".", omittingEmptySubsequences: false).flatMap {
            NameSyntax.dns1123Subdomain(String($0))
        }
        guard let first = wrong.first else { return [] }
        return [invalid(field, "\"\(parts[1])\"", "validating label \"\(parts[1])\": \(first)")]
    }

    private static func lifetimeProblems(_ spec: JSON) -> [StatusError.Cause] {
        guard let seconds = spec["expirationSeconds"]?.int, seconds < minimumSeconds else { return [] }
        return [
            invalid(
                "spec.expirationSeconds", "\(seconds)",
                "may not specify a duration less than \(minimumSeconds) seconds (10 minutes)")
        ]
    }

    static func cause(_ reason: String, _ field: String, _ message: String) -> StatusError.Cause {
        .init(reason: reason, message: message, field: field)
    }

    static func invalid(_ field: String, _ value: String, _ detail: String) -> StatusError.Cause {
        cause("FieldValueInvalid", field, "Invalid value: \(value): \(detail)")
    }

    static func forbidden(_ field: String, _ detail: String) -> StatusError.Cause {
        cause("FieldValueForbidden", field, "Forbidden: \(detail)")
    }
}
