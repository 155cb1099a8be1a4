// SPDX-License-Identifier: Apache-2.0

import APIServer
import ClusterFormation
import ControllerRuntime
import Controllers
import KubeAPI
import KubeClient
import LinuxSystem
import Logging
import Scheduling

/// The scheduler and the controllers, over one set of informers.
struct ControlPlane: Sendable {
    let configuration: Configuration
    let server: APIServer
    let identity: CurrentIdentity
    /// The node on this machine, whose range of addresses the configuration names.
    let nodeName: String
    let addresses: ControlPlaneAddresses
    let logger: Logger

    func run() async throws {
        let client = client("kube-controller-manager")
        // One copy of each collection serves the scheduler and all controllers.
        let logger = logger.component("controllers")
        let informers = InformerSet(client: client, logger: logger)
        let now: @Sendable () -> KubeTime = { .now() }
        let context = ControllerContext(client: client, informers: informers, logger: logger, now: now)
        let loops = try makeControllers(context)
        let scheduler = Scheduler(
            client: self.client("kube-scheduler"), informers: informers, host: nodeName,
            logger: logger.component("scheduler"), now: now)
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await informers.run() }
            group.addTask { try await scheduler.run() }
            for loop in loops { group.addTask { try await loop.run() } }
        }
    }

    private func makeControllers(_ context: ControllerContext) throws -> [any ControlLoop] {
        let table = ResourceTable.builtIn
        let stored = table.resources.filter { resource in
            resource.isStored && resource.allows("delete") && resource.allows("watch")
                && table.group(resource.group)?.preferred.version == resource.version && resource.kind != "Event"
        }
        let namespaced = table.resources.filter { resource in
            resource.isStored && resource.isNamespaced && resource.allows("deletecollection")
                && table.group(resource.group)?.preferred.version == resource.version
                && resource.group != "events.k8s.io"
        }
        let authorities: @Sendable () -> String = { [identity] in
            String(decoding: identity.value.authorityPEM, as: UTF8.self)
        }
        let accounts = ServiceAccountController(context: context, certificateAuthority: authorities)
        let tokens = ServiceAccountTokenController(context: context, certificateAuthority: authorities) {
            [server] account, secret in try server.tokens.issueLegacy(account: account, secret: secret)
        }
        identity.observeAuthorities {
            accounts.authoritiesChanged()
            tokens.authoritiesChanged()
        }
        let pools = try configuration.nodeParts.compactMap { NodeRangePool($0.range, partsOf: $0.prefixLength) }
        return [
            ReplicaController(.replicaSet, context: context),
            ReplicaController(.replicationController, context: context),
            DeploymentController(context: context),
            DisruptionController(context: context),
            EndpointsController(context: context),
            EndpointSliceMirroringController(context: context),
            VolumeController(context: context),
            NodeRangeController(
                context: context, pools: pools, configured: [nodeName: try configuration.nodeRanges.all]),
            NodeLifecycleController(context: context),
            TaintEvictionController(context: context),
            PodGarbageCollector(context: context),
            accounts,
            tokens,
            CertificateApprover(
                context: context,
                reserved: { [addresses] in
                    let reserved = addresses.reserved
                    return ReservedHosts(names: reserved.names, addresses: reserved.addresses)
                }, isAllowed: { [server] in server.isAllowed($0) }),
            CertificateSigningController(
                context: context, signer: AuthoritySigner { [identity] in identity.value.authority },
                lifetimeSeconds: configuration.certificateSchedule.lifetimeSeconds),
            SigningRequestCleaner(context: context),
            NamespaceController(context: context, resources: namespaced.map(\.resource)),
            GarbageCollector(context: context, resources: stored.map(\.resource)) { kind in
                table[kind].map { ($0.resource, $0.isNamespaced) }
            },
        ]
    }

    private func client(_ component: String) -> InProcessClient {
        server.client(
            user: UserInfo(name: "system:\(component)", groups: ["system:authenticated"]), manager: component)
    }
}
