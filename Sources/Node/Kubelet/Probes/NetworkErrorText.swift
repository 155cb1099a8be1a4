// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import NIOCore
import NIOPosix

/// Says why a connection failed in the words of Go's net package, which users know from events.
enum NetworkErrorText {
    static func describe(_ error: any Error, _ host: String, _ port: Int) -> String {
        let address = HostPort.text(host, port)
        guard let failure = error as? NIOConnectionError else { return reason(error, address) }
        if let first = failure.connectionErrors.first { return reason(first.error, address) }
        return "dial tcp: lookup \(host): no such host"
    }

    private static func reason(_ error: any Error, _ address: String) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        let text = "\(error)"
        let known = ["Connection refused", "No route to host", "Network is unreachable", "Connection reset by peer"]
        for words in known where text.localizedLowercaseContains(words) {
            return "dial tcp \(address): connect: \(words.lowercased())"
        }
        return "dial tcp \(address): \(text)"
    }
}

extension String {
    fileprivate func localizedLowercaseContains(_ other: String) -> Bool { lowercased().contains(other.lowercased()) }
}
