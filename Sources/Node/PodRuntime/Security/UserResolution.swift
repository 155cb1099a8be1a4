// SPDX-License-Identifier: Apache-2.0

import ContainerImages

/// The ids that a container's process runs with.
struct ResolvedUser: Hashable {
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    var groups: [UInt32] = []
    var home = "/"
}

extension ResolvedUser {
    /// Resolves an image's `User` and what the container overrides.
    ///
    /// - Parameter subject: What messages call the container: `pod: "web_default(uid)", container: web`.
    init(
        imageUser: String, _ security: ContainerSecurity, rootFileSystem: String, subject: String
    ) throws(RuntimeError) {
        if security.requiresNonRoot { try Self.checkNonRoot(imageUser, security, subject) }
        let found: ImageUser
        do {
            found = try ImageUser(Self.text(imageUser, security), rootFileSystem: rootFileSystem)
        } catch {
            throw RuntimeError(.create, "", error.reason)
        }
        uid = found.userID
        gid = security.runAsGroup ?? found.groupID
        home = found.home
        // As containerd, the primary group is among the supplementary ones.
        var all = Set(security.supplementalGroups + [gid])
        if security.mergesImageGroups { all.formUnion(found.additionalGroups) }
        groups = all.sorted()
    }

    /// A user of the pod's takes the image's group away with the image's user.
    private static func text(_ imageUser: String, _ security: ContainerSecurity) -> String {
        security.runAsUser.map { "\($0)" } ?? imageUser
    }

    /// Upstream's verifyRunAsNonRoot.
    private static func checkNonRoot(
        _ imageUser: String, _ security: ContainerSecurity, _ subject: String
    ) throws(RuntimeError) {
        if let uid = security.runAsUser {
            if uid != 0 { return }
            throw RuntimeError(.configuration, "", "container's runAsUser breaks non-root policy (\(subject))")
        }
        let user = imageUser.split(separator: ":", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        if user.isEmpty || UInt32(user) == 0 {
            throw RuntimeError(
                .configuration, "", "container has runAsNonRoot and image will run as root (\(subject))")
        }
        if UInt32(user) == nil {
            throw RuntimeError(
                .configuration, "",
                "container has runAsNonRoot and image has non-numeric user (\(user)), cannot verify user is non-root "
                    + "(\(subject))")
        }
    }
}
