// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import PKI

/// Certificate signing requests: the server notes who asks, what was asked for stands, and only those decide and sign
/// who may do so for the signer (upstream: `pkg/registry/certificates` and the admission plug-ins CertificateApproval,
/// CertificateSigning and CertificateSubjectRestriction).
struct SigningRequestBehaviour: ResourceBehaviour {
    let authorizer: Authorizer
    var traits: ResourceTraits { BehaviourTable.traits("certificatesigningrequests.certificates.k8s.io") }

    func admit(_ change: Change, _ object: inout KubeObject) async throws {
        guard let old = change.old else { return try Self.restrictSubject(change, object) }
        // Whose signer it is stands in the stored object; the request's own word is not asked.
        let signer = old.spec["signerName"]?.string ?? ""
        switch change.subresource {
        case "approval":
            try require("approve", "approve", signer, change, object)
        case "status":
            let isSame =
                old.status["certificate"] == object.status["certificate"]
                && old.status["conditions"] == object.status["conditions"]
            if !isSame { try require("sign", "sign", signer, change, object) }
        default: break
        }
    }

    /// Nobody becomes a master through the signer of plain clients.
    private static func restrictSubject(_ change: Change, _ object: KubeObject) throws {
        let signer = object.spec["signerName"]?.string ?? ""
        guard signer == "kubernetes.io/kube-apiserver-client",
            let request = SigningRequestRules.request(of: object),
            request.subject.organizations.contains(UserInfo.WellKnown.mastersGroup)
        else { return }
        throw change.forbidden(
            object.name, "use of \(signer) signer with \(UserInfo.WellKnown.mastersGroup) group is not allowed")
    }

    /// The right on the signer itself or on all signers of its domain.
    private func require(
        _ verb: String, _ word: String, _ signer: String, _ change: Change, _ object: KubeObject
    ) throws(StatusError) {
        if change.isTrusted { return }
        let domain = signer.prefix { $0 != "/" }
        for name in [signer, "\(domain)/*"] {
            let attributes = AccessAttributes(
                user: change.user, verb: verb, group: "certificates.k8s.io", resource: "signers", name: name)
            if authorizer.decide(attributes).isAllowed { return }
        }
        throw change.forbidden(
            object.name, "user not permitted to \(word) requests with signerName \"\(signer)\"")
    }

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        guard let old = change.old else {
            let user = change.user.json
            for key in ["username", "uid", "groups", "extra"] { object.json["spec", key] = user[key] }
            object.status = .object([:])
            return
        }
        object.json["spec"] = old.json["spec"]
        switch change.subresource {
        case "approval":
            // Only the conditions are the approver's.
            let conditions = object.status["conditions"]
            object.status = old.status
            object.json["status", "conditions"] = Self.dated(conditions, old, change)
        case "status":
            object.json["status", "conditions"] = Self.dated(object.status["conditions"], old, change)
        default: break
        }
    }

    func problems(_ change: Change, _ object: KubeObject) -> [StatusError.Cause] {
        guard let old = change.old else { return SigningRequestRules.problems(ofNew: object) }
        if change.subresource.isEmpty { return [] }
        return SigningRequestRules.problems(of: object, old: old, subresource: change.subresource)
    }

    /// Gives new conditions their times; an old condition keeps that of its transition while its status stays.
    private static func dated(_ conditions: JSON?, _ old: KubeObject, _ change: Change) -> JSON? {
        guard let conditions = conditions?.array else { return nil }
        let now = JSON.string(change.registry.clock.timestamp)
        return .array(
            conditions.map { condition in
                var condition = condition
                let known = old.condition(condition["type"]?.string ?? "")
                if condition["lastUpdateTime"]?.string == nil { condition["lastUpdateTime"] = now }
                if condition["lastTransitionTime"]?.string == nil {
                    let isSame = known?.status == condition["status"]?.string
                    condition["lastTransitionTime"] = isSame ? known.map { .string($0.lastTransitionTime) } ?? now : now
                }
                return condition
            })
    }
}
