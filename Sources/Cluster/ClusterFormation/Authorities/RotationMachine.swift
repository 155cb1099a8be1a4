// SPDX-License-Identifier: Apache-2.0

/// What comes next when a cluster's authority is replaced; it does no I/O.
///
/// The order is what keeps every connection possible at every moment: first all trust both authorities, then the new one
/// signs, then all have certificates by it, and only then is the old one trusted no more. The state is in the files of the
/// authorities and in what agents say they use, so whoever asks anew after a crash gets the next step.
package struct RotationMachine: Sendable {
    /// How far it is to go.
    package enum Goal: Hashable, Sendable {
        /// Until the new authority signs and everybody has a certificate by it.
        case replace
        /// Until the old authority is trusted no more.
        case finish
        /// Back to the old authority, while the new one does not sign yet.
        case abort
    }

    /// What an agent uses.
    package struct Use: Hashable, Sendable {
        /// The SHA-256 of the authorities that it trusts, in hexadecimal.
        package var trusted: Set<String>
        /// The SHA-256 of the authority that signed all its certificates; empty where they are by several, or it says nothing.
        package var certifiedBy: String

        package init(trusted: Set<String> = [], certifiedBy: String = "") {
            self.trusted = trusted
            self.certifiedBy = certifiedBy
        }
    }

    /// A worker as its Node object describes it.
    package struct Node: Hashable, Sendable {
        package var name: String
        package var isReady: Bool
        package var use: Use

        package init(name: String, isReady: Bool, use: Use) {
            self.name = name
            self.isReady = isReady
            self.use = use
        }
    }

    /// What there is.
    package struct View: Hashable, Sendable {
        package var phase: AuthoritySet.Phase
        /// The SHA-256 of the trusted authorities in the files; the one that signs comes first.
        package var authorities: [String]
        /// What the control plane's agent uses.
        package var agent: Use
        package var workers: [Node]

        package init(phase: AuthoritySet.Phase, authorities: [String], agent: Use, workers: [Node]) {
            self.phase = phase
            self.authorities = authorities
            self.agent = agent
            self.workers = workers
        }
    }

    /// Whom one waits for, and for what.
    package enum Awaited: Hashable, Sendable {
        /// The control plane's agent has not taken the files over.
        case agent
        /// These workers do not trust the new authority yet.
        case trust(nodes: [String])
        /// These workers have no certificates by the new authority yet.
        case certificates(nodes: [String])
    }

    package enum Action: Hashable, Sendable {
        case prepare
        case activate
        case drop
        case discard
        case wait(Awaited)
        /// Nothing is left to be done; these nodes were away and come after by themselves.
        case done(left: [String])
        /// The goal cannot be reached from here.
        case refuse(reason: String, remedy: String)
    }

    private let goal: Goal
    /// Whether nodes that are not ready keep the old authority alive.
    private let force: Bool

    /// - Parameter force: drops the old authority also when nodes have no certificates by the new one: they must join again.
    package init(_ goal: Goal, force: Bool = false) {
        self.goal = goal
        self.force = force
    }

    package func next(_ view: View) -> Action {
        switch (goal, view.phase) {
        case (.replace, .settled): .prepare
        case (.replace, .spreading): spread(view)
        case (.replace, .replaced): certify(view)
        case (.finish, .settled), (.abort, .settled): isTakenOver(view) ? .done(left: []) : .wait(.agent)
        case (.finish, .spreading):
            .refuse(
                reason: "the new authority does not sign yet", remedy: "run 'swiftlet certificates rotate-ca' first")
        case (.finish, .replaced): finish(view)
        case (.abort, .spreading): .discard
        case (.abort, .replaced):
            .refuse(
                reason: "the new authority signs already, and the old one's key is gone",
                remedy: "go on with 'swiftlet certificates rotate-ca --finish'; if the old authority is needed, restore"
                    + " a backup")
        }
    }

    /// Nodes that are away do not hold it up: servers show the bridge, by which they find in again.
    private func spread(_ view: View) -> Action {
        guard isTakenOver(view) else { return .wait(.agent) }
        let wanted = Set(view.authorities)
        let missing = view.workers.filter { $0.isReady && !$0.use.trusted.isSuperset(of: wanted) }
        return missing.isEmpty ? .activate : .wait(.trust(nodes: missing.map(\.name).sorted()))
    }

    private func certify(_ view: View) -> Action {
        guard isTakenOver(view) else { return .wait(.agent) }
        let left = uncertified(view)
        let ready = left.filter(\.isReady)
        return ready.isEmpty
            ? .done(left: left.map(\.name).sorted()) : .wait(.certificates(nodes: ready.map(\.name).sorted()))
    }

    private func finish(_ view: View) -> Action {
        guard isTakenOver(view) else { return .wait(.agent) }
        let left = uncertified(view)
        if left.isEmpty || force { return .drop }
        let ready = left.filter(\.isReady).map(\.name).sorted()
        if !ready.isEmpty { return .wait(.certificates(nodes: ready)) }
        return .refuse(
            reason: "nodes that are not ready have no certificates by the new authority: "
                + left.map(\.name).sorted().joined(separator: ", "),
            remedy: "start them and wait until they are ready, remove them with 'swiftlet remove-node', or give"
                + " --force: they must then leave and join again")
    }

    private func uncertified(_ view: View) -> [Node] {
        view.workers.filter { $0.use.certifiedBy != view.authorities.first }
    }

    /// Whether the agent trusts exactly the authorities of the files, and shows certificates by the one that signs.
    private func isTakenOver(_ view: View) -> Bool {
        view.agent.trusted == Set(view.authorities) && view.agent.certifiedBy == view.authorities.first
    }
}
