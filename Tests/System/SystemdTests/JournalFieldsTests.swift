// SPDX-License-Identifier: Apache-2.0

import Logging
import Testing

@testable import Systemd

@Suite struct JournalFieldsTests {
    static func event(_ message: Logger.Message, level: Logger.Level = .info) -> LogEvent {
        LogEvent(
            level: level, message: message, error: nil, metadata: nil, source: "test", file: "Kubelet/Pod.swift",
            function: "start()", line: 42)
    }

    static func texts(_ fields: JournalFields) -> [String] {
        fields.ranges.map { String(decoding: fields.bytes[$0], as: UTF8.self) }
    }

    @Test func eventsBecomeFields() {
        let fields = JournalFields(
            Self.event("Pod started", level: .warning), label: "kubelet", identifier: "swiftlet",
            metadata: ["pod": "default/web", "image.name": "a b"])
        #expect(
            Self.texts(fields) == [
                "PRIORITY=4", "SYSLOG_IDENTIFIER=swiftlet", #"MESSAGE=Pod started image.name="a b" pod=default/web"#,
                "CODE_FILE=Kubelet/Pod.swift", "CODE_LINE=42", "CODE_FUNC=start()", "SWIFTLET_LOGGER=kubelet",
                "SWIFTLET_IMAGE_NAME=a b", "SWIFTLET_POD=default/web",
            ])
    }

    @Test func whatAllEntriesHaveIsAFieldAndNotRead() {
        let fields = JournalFields(
            Self.event("Pod started"), label: "l", identifier: "i", metadata: ["node": "a", "pod": "web"],
            unspoken: ["node"])
        let texts = Self.texts(fields)
        #expect(texts.contains("MESSAGE=Pod started pod=web"))
        #expect(texts.contains("SWIFTLET_NODE=a"))
    }

    @Test(arguments: [
        ("pod", "SWIFTLET_POD"), ("pod-uid", "SWIFTLET_POD_UID"), ("_x", "SWIFTLET__X"), ("é", "SWIFTLET___"),
        ("a=b\n", "SWIFTLET_A_B_"), ("", "SWIFTLET_"),
    ])
    func namesAreSanitised(key: String, expected: String) {
        #expect(JournalFields.fieldName(key) == expected)
    }

    @Test func namesValuesAndCountsAreBounded() {
        #expect(JournalFields.fieldName(String(repeating: "x", count: 500)).utf8.count == 64)
        var metadata: Logger.Metadata = [:]
        for index in 0..<100 { metadata["key\(index)"] = "value" }
        let many = JournalFields(Self.event("m"), label: "l", identifier: "i", metadata: metadata)
        #expect(many.ranges.count == 7 + JournalFields.Limits.metadataFields)
        // A character of three bytes lies across the limit and is left out whole.
        let long = String(repeating: "x", count: JournalFields.Limits.valueBytes - 1) + "€€"
        let cut = JournalFields(Self.event("m"), label: "l", identifier: "i", metadata: ["k": .string(long)])
        #expect(Self.texts(cut).last?.utf8.count == "SWIFTLET_K=".utf8.count + JournalFields.Limits.valueBytes - 1)
    }

    @Test func levelsMapToSyslogPriorities() {
        #expect(Logger.Level.allCases.map(JournalFields.priority(of:)) == [7, 7, 6, 5, 4, 3, 2])
    }

    @Test func messagesKeepTheirLines() {
        let fields = JournalFields(Self.event("one\ntwo"), label: "l", identifier: "i", metadata: [:])
        #expect(Self.texts(fields).contains("MESSAGE=one\ntwo"))
    }
}
