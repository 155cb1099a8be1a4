// SPDX-License-Identifier: Apache-2.0

package import JSON
import KubeAPI
import LinuxSystem

/// A probe or a hook's handler: what is done to find out, or to tell, something.
package enum ProbeHandler: Hashable, Sendable {
    case exec([String])
    case http(HTTPGetAction)
    case tcp(host: String, port: Int)
    case grpc(port: Int, service: String)
    /// Hooks only; seconds.
    case sleep(Int)
    /// A port's name that no container port has, say.
    case invalid(String)

    /// Reads a handler; the host is the pod's address unless it names one.
    package init(_ json: JSON, container: PodContainer, podAddress: String) {
        let port = { (value: JSON?) -> Int? in
            if let number = value?.int { return number }
            guard let name = value?.string else { return nil }
            if let number = Int(name) { return number }
            return container.ports.first { $0["name"]?.string == name }?["containerPort"]?.int
        }
        if let exec = json["exec"] {
            self = .exec((exec["command"]?.elements ?? []).compactMap(\.string))
        } else if let http = json["httpGet"] {
            guard let number = port(http["port"]) else {
                self = .invalid("couldn't find port: \(http["port"]?.string ?? "") in container \(container.name)")
                return
            }
            let host = http["host"]?.string ?? ""
            self = .http(
                HTTPGetAction(
                    isSecure: http["scheme"]?.string?.uppercased() == "HTTPS", host: host.isEmpty ? podAddress : host,
                    port: number, path: http["path"]?.string ?? "/",
                    headers: (http["httpHeaders"]?.elements ?? []).map {
                        .init(name: $0["name"]?.string ?? "", value: $0["value"]?.string ?? "")
                    }))
        } else if let tcp = json["tcpSocket"] {
            guard let number = port(tcp["port"]) else {
                self = .invalid("couldn't find port: \(tcp["port"]?.string ?? "") in container \(container.name)")
                return
            }
            let host = tcp["host"]?.string ?? ""
            self = .tcp(host: host.isEmpty ? podAddress : host, port: number)
        } else if let grpc = json["grpc"] {
            self = .grpc(port: grpc["port"]?.int ?? 0, service: grpc["service"]?.string ?? "")
        } else if let sleep = json["sleep"] {
            self = .sleep(sleep["seconds"]?.boundedInt ?? 0)
        } else {
            self = .invalid("missing probe handler for \(container.name)")
        }
    }
}

/// An HTTP GET of a probe or hook.
package struct HTTPGetAction: Hashable, Sendable {
    package struct Header: Hashable, Sendable {
        package var name: String
        package var value: String
    }

    package var isSecure: Bool
    package var host: String
    package var port: Int
    package var path: String
    package var headers: [Header]

    /// What a redirect (RFC 9110, section 10.2.2) asks for instead; nil for an empty or unusable location.
    package func redirected(to location: String) -> HTTPGetAction? {
        var result = self
        var rest = Substring(location.prefix { $0 != "#" })
        if rest.isEmpty { return nil }
        for (scheme, isSecure) in [("https://", true), ("http://", false), ("//", self.isSecure)]
        where rest.lowercased().hasPrefix(scheme) {
            rest = rest.dropFirst(scheme.count)
            let authority = rest.prefix { $0 != "/" && $0 != "?" }
            guard let place = HostPort.split(String(authority), defaultPort: isSecure ? 443 : 80) else { return nil }
            (result.isSecure, result.host, result.port) = (isSecure, place.host, place.port)
            rest = rest.dropFirst(authority.count)
            result.path = rest.hasPrefix("/") ? String(rest) : "/\(rest)"
            return result
        }
        let plain = path.prefix { $0 != "?" }
        if rest.hasPrefix("/") {
            result.path = String(rest)
        } else if rest.hasPrefix("?") {
            result.path = "\(plain)\(rest)"
        } else {
            let directory = plain.lastIndex(of: "/").map { plain[...$0] } ?? "/"
            result.path = "\(directory)\(rest)"
        }
        return result
    }
}

/// A probe's times and thresholds, with upstream's defaults.
package struct ProbeTiming: Hashable, Sendable {
    /// Seconds.
    package var initialDelay: Int
    /// Seconds.
    package var period: Int
    /// Seconds.
    package var timeout: Int
    package var successThreshold: Int
    package var failureThreshold: Int

    package init(_ json: JSON) {
        initialDelay = max(0, json["initialDelaySeconds"]?.boundedInt ?? 0)
        period = max(1, json["periodSeconds"]?.boundedInt ?? 10)
        timeout = max(1, json["timeoutSeconds"]?.boundedInt ?? 1)
        successThreshold = max(1, json["successThreshold"]?.boundedInt ?? 1)
        failureThreshold = max(1, json["failureThreshold"]?.boundedInt ?? 3)
    }
}

/// Counts a probe's results and tells when the verdict changes (upstream: prober worker); no I/O.
package struct ProbeCounter: Hashable, Sendable {
    private let timing: ProbeTiming
    private var last: Bool?
    private var run = 0
    /// The verdict in force.
    package private(set) var verdict: Bool

    /// Whether the last results were failures, as many as the threshold.
    var hasFailedThreshold: Bool { last == false && run >= timing.failureThreshold }

    /// - Parameter initially: The verdict before any result: readiness and startup begin as failed, liveness as passed.
    package init(_ timing: ProbeTiming, initially verdict: Bool) {
        self.timing = timing
        self.verdict = verdict
    }

    /// Counts a result; true if the verdict changed.
    package mutating func count(_ success: Bool) -> Bool {
        if last == success { run += 1 } else { (last, run) = (success, 1) }
        let needed = success ? timing.successThreshold : timing.failureThreshold
        guard run >= needed, verdict != success else { return false }
        verdict = success
        return true
    }
}
