// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging
import PKI

/// Deletes the signing requests that nobody needs any more (upstream: `csrcleaner`).
package final class SigningRequestCleaner: ControlLoop {
    package let name = "csrcleaner"
    private let context: ControllerContext
    private let requests: Informer

    /// How often the requests are looked through.
    private static let interval = Duration.seconds(60)

    package init(context: ControllerContext) {
        self.context = context
        requests = context.informers.informer(.signingRequests)
    }

    package func run() async throws {
        await requests.waitForSync()
        while true {
            await clean()
            try await Task.sleep(for: Self.interval)
        }
    }

    func clean() async {
        let now = context.now()
        for object in requests.list() where Self.isOver(object, now: now) {
            do {
                try await context.client.delete(.signingRequests, namespace: nil, name: object.name, options: .init())
            } catch {
                context.logger.debug(
                    "Cannot delete a signing request; it is tried again",
                    metadata: ["component": "\(name)", "object": "\(object.name)", "error": "\(error)"])
            }
        }
    }

    /// Whether a request has had its time: an hour after its end, a day without a decision, or when its certificate has
    /// expired.
    static func isOver(_ object: KubeObject, now: KubeTime) -> Bool {
        let decided: Double = 3600
        let pending: Double = 86400
        func age(_ time: String?) -> Double { time.flatMap { KubeTime($0) }.map { now.timeInterval(since: $0) } ?? 0 }
        for type in ["Approved", "Denied", "Failed"] {
            if let condition = object.condition(type), age(condition.lastUpdateTime) > decided { return true }
        }
        let certificate = object.status["certificate"]?.string ?? ""
        let isPending = !object.isDecidedRequest && object.condition("Failed") == nil && certificate.isEmpty
        if isPending, age(object.creationTimestamp) > pending { return true }
        // A certificate that cannot be read goes with its hour.
        guard !certificate.isEmpty, object.isApprovedRequest, let pem = Base64.decode(certificate),
            let issued = try? Certificate(pem: pem)
        else { return false }
        return issued.validity.notAfter < Int64(now.seconds)
    }
}
