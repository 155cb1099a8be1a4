// SPDX-License-Identifier: Apache-2.0

package import ClusterFormation
import JSON
import LinuxSystem

/// What the running agent says of the certificates that it uses: a file in the run directory, by which commands see that it
/// has taken over what they changed.
package struct CertificatesInUse: Hashable, Sendable {
    private static let fileName = "certificates.json"

    /// The SHA-256 of the trusted authorities, in hexadecimal, the one that signs first.
    package var authorities: [String]
    /// The SHA-256 of the certificates by their names.
    package var certificates: [String: String]
    /// The SHA-256 of the authority that issued all of them; empty where they are by several.
    package var certifiedBy: String

    init(authorities: [String], certificates: [String: String], certifiedBy: String) {
        self.authorities = authorities
        self.certificates = certificates
        self.certifiedBy = certifiedBy
    }

    /// What the machine for replacing authorities wants to know.
    package var use: RotationMachine.Use { .init(trusted: Set(authorities), certifiedBy: certifiedBy) }

    /// Writes the file for this process.
    func write(runDirectory: String) throws {
        let json: JSON = [
            "pid": JSON(Int(Processes.current)), "authorities": JSON(authorities), "certificates": JSON(certificates),
            "certifiedBy": .string(certifiedBy),
        ]
        try DirectoryHandle(path: runDirectory).replaceFile(
            Self.fileName, with: Array(json.text(indented: true).utf8), durability: .atomic)
    }

    /// What the agent uses that runs now; nil where none runs, or it has not come so far yet.
    package static func read(runDirectory: String) throws -> CertificatesInUse? {
        guard let holder = try AgentLock.holder(runDirectory: runDirectory),
            let bytes = try DirectoryHandle(path: runDirectory).readFile(fileName, limit: 64 << 10)
        else { return nil }
        let json = try JSON.parse(bytes)
        // That of an agent which has gone says nothing.
        guard json["pid"]?.int == Int(holder.pid) else { return nil }
        return CertificatesInUse(
            authorities: json["authorities"]?.elements.compactMap(\.string) ?? [],
            certificates: json["certificates"]?.stringMap ?? [:], certifiedBy: json["certifiedBy"]?.string ?? "")
    }
}

/// The news for the running agent that certificates on disk are others than before (SIGUSR1).
final class CertificateNotice: Sendable {
    /// The news, for one consumer; what comes several times before it is taken comes once.
    let notices: AsyncStream<Void>
    private let entrance: AsyncStream<Void>.Continuation

    init() { (notices, entrance) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func post() { entrance.yield() }
}

/// Has the running agent take over what a command changed on disk.
struct CertificateHandover: Sendable {
    private static let pause = Duration.milliseconds(50)
    /// The agent is told again after so many looks in vain.
    private static let looksPerNotice = 40

    private let runDirectory: String
    private var looks = 0

    init(_ configuration: Configuration) { runDirectory = configuration.directories.run }

    /// Tells the agent, now and then, and says what it uses; nil where none runs that could be told.
    mutating func look() throws -> CertificatesInUse? {
        guard let use = try CertificatesInUse.read(runDirectory: runDirectory) else { return nil }
        if looks % Self.looksPerNotice == 0, let holder = try AgentLock.holder(runDirectory: runDirectory) {
            try Processes.kill(holder.pid, Signals.user1)
        }
        looks += 1
        return use
    }

    /// Waits until the agent uses what it should.
    ///
    /// - Returns: false where no agent runs.
    /// - Throws: ``JoinError`` when it does not within the time.
    mutating func run(within limit: Duration, until isTakenOver: (CertificatesInUse) -> Bool) async throws -> Bool {
        let deadline = ContinuousClock.now + limit
        while let use = try look() {
            if isTakenOver(use) { return true }
            guard ContinuousClock.now < deadline else {
                throw JoinError(
                    "have the agent use the new certificates", reason: "it does not within \(limit)",
                    remedy: "see 'swiftlet logs'; the certificates are on disk, and a restart of the agent uses them")
            }
            try await Task.sleep(for: Self.pause)
        }
        return false
    }
}
