// SPDX-License-Identifier: Apache-2.0

package import JSON

/// One thing that an examination has to say about a machine: what it is, why it matters and what to do.
package struct Finding: Sendable, Hashable {
    /// How bad it is.
    package enum Severity: String, Sendable, Hashable, CaseIterable, Comparable {
        /// As it should be.
        case ok
        /// Worth knowing.
        case info
        /// It works, but not well, or not for long.
        case warning
        /// Containers cannot work.
        case error

        package static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }

        private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    /// What a finding is about: the headings of a report.
    package enum Topic: String, Sendable, Hashable, CaseIterable {
        case kernel
        case memory
        case storage
        case network
        case clock
        case power
        case system
    }

    /// A name for programs, in CamelCase as reasons of events are: `MemoryCgroupDisabled`.
    package var id: String
    package var topic: Topic
    package var severity: Severity
    /// What was found, a sentence without full stop.
    package var summary: String
    /// Why it matters; empty where nothing is wrong.
    package var why = ""
    /// Exactly what to type or change; empty where there is nothing to do.
    package var remedy = ""
    /// What can be done about it by ``Fix/apply(in:)``; nil for what only people can do.
    package var fix: Fix?

    package init(
        _ id: String, _ topic: Topic, _ severity: Severity, _ summary: String, why: String = "", remedy: String = "",
        fix: Fix? = nil
    ) {
        self.id = id
        self.topic = topic
        self.severity = severity
        self.summary = summary
        self.why = why
        self.remedy = remedy
        self.fix = fix
    }

    /// For `-o json`.
    package var json: JSON {
        [
            "id": .string(id), "topic": .string(topic.rawValue), "severity": .string(severity.rawValue),
            "summary": .string(summary), "why": .string(why), "remedy": .string(remedy), "fixable": .bool(fix != nil),
        ]
    }
}
