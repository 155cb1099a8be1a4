// SPDX-License-Identifier: Apache-2.0

/// How many replicas each ReplicaSet of a Deployment should have next: upstream's rolling update and proportional
/// scaling (`pkg/controller/deployment`), as arithmetic on values.
struct RollingUpdatePlan: Sendable {
    /// A ReplicaSet as the plan sees it.
    struct Member: Sendable, Hashable {
        var name: String
        var replicas: Int
        var available: Int
        /// RFC 3339; the older one goes first.
        var created: String
        /// The largest total when it was last scaled; nil if it was never annotated.
        var maximum: Int?
    }

    var replicas: Int
    var maxSurge: Int
    var maxUnavailable: Int

    /// The size of the new ReplicaSet.
    func newSize(current: Int, total: Int) -> Int {
        if current >= replicas { return replicas }
        let room = replicas + maxSurge - total
        if room <= 0 { return current }
        return current + min(room, replicas - current)
    }

    /// The sizes of the old ReplicaSets that change, after the unhealthy and then the healthy are scaled down.
    ///
    /// - Parameter newUnavailable: Pods of the new ReplicaSet that are not available.
    func oldSizes(_ old: [Member], newSize: Int, newUnavailable: Int) -> [String: Int] {
        var members = old.filter { $0.replicas > 0 }.sorted { $0.created < $1.created }
        let total = members.reduce(0) { $0 + $1.replicas } + newSize
        let minAvailable = replicas - maxUnavailable
        let maxScaledDown = total - minAvailable - newUnavailable
        if maxScaledDown <= 0 { return [:] }
        var sizes: [String: Int] = [:]
        // What is not available is not missed.
        var budget = maxScaledDown
        for index in members.indices where budget > 0 {
            let unhealthy = members[index].replicas - members[index].available
            let count = min(budget, max(0, unhealthy))
            if count == 0 { continue }
            members[index].replicas -= count
            sizes[members[index].name] = members[index].replicas
            budget -= count
        }
        var spare = old.reduce(0) { $0 + $1.available } + (newSize - newUnavailable) - minAvailable
        for index in members.indices where spare > 0 && members[index].replicas > 0 {
            let count = min(members[index].replicas, spare)
            members[index].replicas -= count
            sizes[members[index].name] = members[index].replicas
            spare -= count
        }
        return sizes
    }

    /// The sizes after the wanted number changed in the middle of a rolling update: each ReplicaSet in proportion.
    func proportionalSizes(_ members: [Member]) -> [String: Int] {
        let allowed = replicas > 0 ? replicas + maxSurge : 0
        let total = members.reduce(0) { $0 + $1.replicas }
        let change = allowed - total
        // The largest first; of equals the newer when growing, the older when shrinking.
        let sorted = members.sorted { left, right in
            if left.replicas != right.replicas { return left.replicas > right.replicas }
            return change > 0 ? left.created > right.created : left.created < right.created
        }
        var sizes: [String: Int] = [:]
        var added = 0
        for member in sorted {
            var size = member.replicas
            if change != 0, member.replicas > 0 {
                let share = Self.share(of: member, allowed: allowed, change: change, added: added)
                size += share
                added += share
            }
            sizes[member.name] = size
        }
        // What rounding left over goes to the largest.
        if change != 0, let first = sorted.first {
            sizes[first.name] = max(0, (sizes[first.name] ?? 0) + change - added)
        }
        return sizes
    }

    private static func share(of member: Member, allowed: Int, change: Int, added: Int) -> Int {
        let open = change - added
        let fraction: Int
        if allowed == 0 {
            fraction = -member.replicas
        } else {
            let annotated = member.maximum.flatMap { $0 > 0 ? $0 : nil } ?? allowed
            let exact = Double(member.replicas) * Double(allowed) / Double(annotated)
            // An annotation that says a silly total makes a share beyond all numbers, which `open` then cuts.
            fraction = Int(min(exact.rounded(.toNearestOrAwayFromZero), Double(UInt32.max))) - member.replicas
        }
        return change > 0 ? min(fraction, open) : max(fraction, open)
    }
}
