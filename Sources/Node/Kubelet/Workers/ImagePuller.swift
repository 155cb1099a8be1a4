// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import ControllerRuntime
import JSON
import KubeAPI

/// Makes sure that a container's image is there, as its pull policy says, with upstream's events.
struct ImagePuller: Sendable {
    let images: ImageService
    let objects: ObjectCache
    /// Records an event on a container.
    let event: @Sendable (_ isWarning: Bool, _ reason: String, _ message: String, _ container: String) -> Void

    func ensure(_ container: PodContainer, of pod: Pod) async throws -> Image {
        let name = container.image
        let reference: ImageReference
        do { reference = try ImageReference(parsing: name) } catch {
            let text =
                "Failed to apply default image tag \"\(name)\": couldn't parse image name \"\(name)\": \(error.reason)"
            event(true, "InspectFailed", text, container.name)
            throw StartFailure(.image(reason: "InvalidImageName"), text)
        }
        let present: Image?
        do { present = try await images.resolve(name) } catch {
            throw StartFailure(.image(reason: "ImageInspectError"), "Failed to inspect image \"\(name)\": \(error)")
        }
        switch (container.imagePullPolicy, present) {
        case ("IfNotPresent", let image?), ("Never", let image?):
            let text = "Container image \"\(name)\" already present on machine and can be accessed by the pod"
            event(false, "Pulled", text, container.name)
            return image
        case ("Never", nil):
            let text = "Container image \"\(name)\" is not present with pull policy of Never"
            event(true, "ErrImageNeverPull", text, container.name)
            throw StartFailure(.image(reason: "ErrImageNeverPull"), text)
        default: return try await pull(name, reference, container, pod)
        }
    }

    private func pull(
        _ name: String, _ reference: ImageReference, _ container: PodContainer, _ pod: Pod
    ) async throws -> Image {
        event(false, "Pulling", "Pulling image \"\(name)\"", container.name)
        let began = ContinuousClock.now
        var failure: ImageError?
        for credentials in try await keys(of: pod).credentials(for: reference.repository) + [RegistryCredentials()] {
            do {
                let image = try await images.pull(name, credentials: credentials)
                let time = Self.text(ContinuousClock.now - began)
                event(
                    false, "Pulled",
                    "Successfully pulled image \"\(name)\" in \(time) (\(time) including waiting). "
                        + "Image size: \(image.size) bytes.", container.name)
                return image
            } catch {
                failure = error
                // Other credentials can only help where these were refused.
                if error.kind != .unauthorized, error.kind != .notFound { break }
            }
        }
        if Task.isCancelled { throw CancellationError() }
        let why = failure?.description ?? "unknown error"
        let text = "Failed to pull image \"\(name)\": \(why)"
        event(true, "Failed", text, container.name)
        throw StartFailure(.pull, why)
    }

    private func keys(of pod: Pod) async throws -> RegistryKeys {
        var secrets: [KubeObject] = []
        for reference in pod.spec["imagePullSecrets"]?.elements ?? [] {
            guard let name = reference["name"]?.string else { continue }
            if let secret = try await objects.get(pod.secret(name)) { secrets.append(secret) }
        }
        return RegistryKeys(secrets: secrets)
    }

    /// A duration as Go prints it rounded to milliseconds: `1.234s`, `45ms`.
    private static func text(_ duration: Duration) -> String {
        let milliseconds = duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
        if milliseconds < 1000 { return "\(milliseconds)ms" }
        let rest = String(milliseconds % 1000)
        var fraction = String(repeating: "0", count: 3 - rest.count) + rest
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return fraction.isEmpty ? "\(milliseconds / 1000)s" : "\(milliseconds / 1000).\(fraction)s"
    }
}
