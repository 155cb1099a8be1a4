// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import JSON
import LinuxSystem

/// How a command prints.
struct OutputOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @Option(name: [.customShort("o"), .customLong("output")], help: "How to print: text or json.")
    var format = Format.text

    /// Says how a command goes on: where the result is JSON, on standard error.
    func say(_ text: String) {
        switch format {
        case .text: print(text)
        case .json: StandardError.write(Array("\(text)\n".utf8))
        }
    }

    /// Prints the result where it is to be JSON.
    func show(_ result: @autoclosure () -> JSON) {
        if format == .json { print(result().text(indented: true)) }
    }
}

/// Prints rows as aligned columns, the way kubectl does.
func printTable(_ header: [String], _ rows: [[String]]) {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    for row in all {
        let cells = row.enumerated().map { column, text in
            column == row.count - 1
                ? text : text + String(repeating: " ", count: widths[column] - text.count + 3)
        }
        print(cells.joined())
    }
}

/// A size as people write it, `12.3 MiB`.
func sizeText(_ bytes: UInt64) -> String {
    var value = Double(bytes)
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024 || unit == "GiB" {
            let tenths = (value * 10).rounded() / 10
            return unit == "B" ? "\(bytes) B" : "\(tenths) \(unit)"
        }
        value /= 1024
    }
    return "\(bytes) B"
}
