// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LinuxSystem
import SwiftletCore

/// `swiftlet kubectl ...`: the installed kubectl with this cluster's kubeconfig.
struct KubectlCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kubectl", abstract: "Run the installed kubectl against this cluster.",
        discussion: """
            Everything behind the command is kubectl's.

            Example:
              swiftlet kubectl get pods -A
            """)

    @Argument(parsing: .captureForPassthrough, help: "kubectl's own arguments.")
    var arguments: [String] = []

    func run() throws {
        let kubeconfig = try Configuration.load(ConfigurationOptions.defaultPath, required: false).kubeconfigPath
        guard let path = Program.find("kubectl") else {
            throw ValidationError(
                "kubectl is not installed; install the package kubernetes-client or see https://kubernetes.io/docs/tasks/tools"
            )
        }
        var environment = Processes.environment().filter { !$0.hasPrefix("KUBECONFIG=") }
        environment.append("KUBECONFIG=\(kubeconfig)")
        throw Processes.execute(path, arguments: ["kubectl"] + arguments, environment: environment)
    }
}
