// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Storage

/// The objects of one page of a list, as they are stored.
struct ListPage: Sendable {
    var values: [StoredValue] = []
    /// The state that the list is true for.
    var revision: Revision
    /// Empty on the last page.
    var continueToken = ""
    /// How many objects follow, where that is known.
    var remaining: Int?
}

extension Registry {
    /// The longest wait for a revision that the store has not reached (upstream: 3 s).
    private static let revisionWaitSeconds = 3

    /// Lists objects in the order of their keys.
    func list(_ served: ServedResource, namespace: String, options: ListOptions) async throws -> ListPage {
        let selector = try ObjectSelector(
            labels: options.labelSelector, fields: options.fieldSelector, kind: served.kind)
        return try await list(served, namespace: namespace, options: options, selector: selector)
    }

    func list(
        _ served: ServedResource, namespace: String, options: ListOptions, selector: ObjectSelector
    ) async throws -> ListPage {
        let namespace = namespace.isEmpty ? selector.requiredNamespace ?? "" : namespace
        let token = options.continueToken.isEmpty ? nil : try ContinueToken(parsing: options.continueToken)
        let snapshot = try await snapshot(for: options, token)
        if options.limit == 0, token == nil, let name = selector.requiredName,
            !served.isNamespaced || !namespace.isEmpty
        {
            return try single(served, namespace, name, selector, snapshot)
        }
        return try page(served, served.keyPrefix(namespace: namespace), options, token, selector, snapshot)
    }

    /// A list of at most the one object with a name.
    private func single(
        _ served: ServedResource, _ namespace: String, _ name: String, _ selector: ObjectSelector,
        _ snapshot: any StorageSnapshot
    ) throws -> ListPage {
        var page = ListPage(revision: snapshot.revision)
        if let value = snapshot.get(served.key(namespace: namespace, name: name)),
            selector.matches(try decode(value, as: served))
        {
            page.values.append(value)
        }
        return page
    }

    private func page(
        _ served: ServedResource, _ prefix: String, _ options: ListOptions, _ token: ContinueToken?,
        _ selector: ObjectSelector, _ snapshot: any StorageSnapshot
    ) throws -> ListPage {
        var page = ListPage(revision: snapshot.revision)
        var isFull = false
        try snapshot.forEach(prefix: prefix, after: token.map { prefix + $0.last }) { value in
            if options.limit > 0, page.values.count == options.limit {
                isFull = true
                return false
            }
            let isWanted = try selector.isEverything || selector.matches(decode(value, as: served))
            if isWanted { page.values.append(value) }
            return true
        }
        if isFull, let last = page.values.last {
            page.continueToken =
                ContinueToken(
                    revision: snapshot.revision, last: String(last.key.dropFirst(prefix.count))
                ).text
            if selector.isEverything {
                var rest = 0
                snapshot.forEach(prefix: prefix, after: last.key) { _ in
                    rest += 1
                    return true
                }
                page.remaining = rest
            }
        }
        return page
    }

    /// Decodes a stored object in the version that a resource serves.
    func decode(_ value: StoredValue, as served: ServedResource) throws(StatusError) -> KubeObject {
        let object = try StoredObjectDecoder.decode(value)
        return served.servesStoredBytes ? object : ObjectConversion.convert(object, to: served.kind)
    }

    // MARK: Revisions

    /// The state that a list wants to see.
    private func snapshot(for options: ListOptions, _ token: ContinueToken?) async throws -> any StorageSnapshot {
        try ListRules.check(options)
        let version = options.resourceVersion
        if let token {
            guard version.isEmpty || version == "0" else {
                throw StatusError.badRequest("specifying resource version is not allowed when using continue")
            }
            guard let revision = token.revision else { return try await currentSnapshot() }
            return try snapshot(at: revision, continuing: token)
        }
        guard !version.isEmpty else { return try await currentSnapshot() }
        guard let revision = Revision(version), revision >= 0 else { throw Self.invalidVersion(version) }
        // A page of a certain revision is of exactly that one, as it was before clients could say so (KEP-2523).
        let isExact =
            options.resourceVersionMatch.isEmpty
            ? options.limit > 0 && revision > 0 : options.resourceVersionMatch == "Exact"
        return try await isExact ? snapshot(exactlyAt: revision) : snapshot(notOlderThan: revision)
    }

    private func snapshot(exactlyAt revision: Revision) throws(StatusError) -> any StorageSnapshot {
        do throws(StorageError) {
            return try storage.snapshot(at: revision)
        } catch {
            switch error {
            case .compacted: throw .expired("The resourceVersion for the provided list is too old.")
            case .futureRevision(let current): throw Self.tooLarge(revision, current: current)
            default: throw StatusTranslation.status(of: error)
            }
        }
    }

    static func invalidVersion(_ text: String) -> StatusError {
        .badRequest(
            "resourceVersion: Invalid value: \"\(text)\": strconv.ParseUint: parsing \"\(text)\": invalid syntax")
    }

    /// The snapshot of an earlier page, or the advice to go on inconsistently.
    private func snapshot(
        at revision: Revision, continuing token: ContinueToken
    ) throws(StatusError) -> any StorageSnapshot {
        do throws(StorageError) {
            return try storage.snapshot(at: revision)
        } catch {
            guard case .compacted = error else { throw StatusTranslation.status(of: error) }
            throw StatusError.expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                    + "list without the continue parameter, or use the continue token in this response to retrieve "
                    + "the remainder of the results. Continuing with the provided token results in an inconsistent "
                    + "list - objects that were created, modified, or deleted between the time the first chunk was "
                    + "returned and now may show up in the list."
            ).continuing(with: ContinueToken(revision: nil, last: token.last).text)
        }
    }

    /// The newest state, once it has reached a revision.
    func snapshot(notOlderThan revision: Revision) async throws -> any StorageSnapshot {
        var snapshot = try await currentSnapshot()
        var waits = 0
        while snapshot.revision < revision {
            guard waits < Self.revisionWaitSeconds * 10 else {
                throw Self.tooLarge(revision, current: snapshot.revision)
            }
            waits += 1
            try await Task.sleep(for: .milliseconds(100))
            snapshot = try await currentSnapshot()
        }
        return snapshot
    }

    private static func tooLarge(_ revision: Revision, current: Revision) -> StatusError {
        var details = StatusError.Details()
        details.causes = [.init(reason: "ResourceVersionTooLarge", message: "Too large resource version")]
        details.retryAfterSeconds = 1
        return StatusError(
            code: 504, reason: StatusError.Reason.timeout,
            message: "Too large resource version: \(revision), current: \(current)", details: details)
    }
}
