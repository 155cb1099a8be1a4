// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import JSON
import SwiftletCore

/// `swiftlet version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Show the versions of Swiftlet and of the Kubernetes API that it serves.",
        discussion: """
            Example:
              swiftlet version -o json
            """)

    @OptionGroup var output: OutputOptions

    func run() {
        switch output.format {
        case .text:
            print("swiftlet \(ProductVersion.swiftlet)")
            print("kubernetes \(ProductVersion.kubernetes)")
        case .json:
            let json: JSON = [
                "swiftlet": .string(ProductVersion.swiftlet), "kubernetes": .string(ProductVersion.kubernetes),
            ]
            print(json.text(indented: true))
        }
    }
}
