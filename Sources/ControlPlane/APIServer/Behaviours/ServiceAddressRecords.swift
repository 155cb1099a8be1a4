// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import Logging

/// The IPAddress objects that show which addresses Services have (KEP-1880).
///
/// The Services themselves say what is taken; these objects follow them, and what others put beside them is respected.
struct ServiceAddressRecords: Sendable {
    let registry: Registry

    static let resource = GroupVersionResource("networking.k8s.io", "v1", "ipaddresses")
    private static let services = GroupVersionResource("", "v1", "services")
    private static let manager = (label: "ipaddress.kubernetes.io/managed-by", name: "ipallocator.k8s.io")
    private static let familyLabel = "ipaddress.kubernetes.io/ip-family"

    init(_ registry: Registry) { self.registry = registry }

    /// Whether somebody else than the allocator has noted an address, which therefore is given to no Service.
    func isReserved(_ address: String) -> Bool {
        guard let record = registry.cachedObject(Self.resource, "", address) else { return false }
        return !Self.isManaged(record)
    }

    /// Notes the address that a Service has got and forgets the one that it had. A failure is made good at the next start.
    func settle(_ service: KubeObject, before: String?, after: String?) async {
        guard before != after else { return }
        do {
            if let before { try await forget(before, of: service) }
            if let after { try await note(after, of: service) }
        } catch {
            registry.logger.warning(
                "The address of a service could not be noted",
                metadata: ["object": "\(service.key)", "error": "\(error)"])
        }
    }

    /// Makes the objects say what the Services say.
    func repair() async throws {
        var missing: [String: KubeObject] = [:]
        for service in registry.cachedObjects(Self.services) {
            if let address = Self.address(of: service) { missing[address] = service }
        }
        for record in registry.cachedObjects(Self.resource) where Self.isManaged(record) {
            if let service = missing[record.name], Self.isRecord(record, of: service) {
                missing[record.name] = nil
            } else {
                try await remove(record)
            }
        }
        for (address, service) in missing { try await note(address, of: service) }
    }

    /// A Service's address as it is written canonically; nil for one without.
    static func address(of service: KubeObject) -> String? {
        service.spec["clusterIP"]?.string.flatMap { IPAddress($0)?.description }
    }

    private static func isManaged(_ record: KubeObject) -> Bool { record.labels[manager.label] == manager.name }

    private static func isRecord(_ record: KubeObject, of service: KubeObject) -> Bool {
        let parent = record.spec["parentRef"]
        return parent?["resource"]?.string == services.resource && parent?["name"]?.string == service.name
            && parent?["namespace"]?.string == service.namespace
    }

    private var context: RequestContext {
        var context = RequestContext(user: .loopback, defaultManager: "kube-apiserver")
        context.isTrusted = true
        return context
    }

    private func note(_ address: String, of service: KubeObject) async throws {
        var record = KubeObject(.init("networking.k8s.io", "v1", "IPAddress"), name: address)
        record.json["metadata", "labels"] = [
            Self.manager.label: .string(Self.manager.name),
            Self.familyLabel: address.contains(":") ? "IPv6" : "IPv4",
        ]
        record.spec = [
            "parentRef": [
                "group": "", "resource": .string(Self.services.resource), "namespace": .string(service.namespace),
                "name": .string(service.name),
            ]
        ]
        do {
            _ = try await registry.create(
                try registry.served(Self.resource), namespace: "", object: record, options: .init(), context: context)
        } catch let error as StatusError where error.isAlreadyExists {
            return
        }
    }

    private func forget(_ address: String, of service: KubeObject) async throws {
        guard let record = registry.cachedObject(Self.resource, "", address), Self.isManaged(record),
            Self.isRecord(record, of: service)
        else { return }
        try await remove(record)
    }

    private func remove(_ record: KubeObject) async throws {
        do {
            _ = try await registry.delete(
                try registry.served(Self.resource), namespace: "", name: record.name,
                options: .init(), context: context)
        } catch let error as StatusError where error.isNotFound {
            return
        }
    }
}
