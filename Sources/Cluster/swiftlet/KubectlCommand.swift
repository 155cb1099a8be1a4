// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LinuxSystem
import SwiftletCore

/// `swiftlet kubectl ...`: the installed kubectl with this cluster's kubeconfig.
struct KubectlCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kubectl", abstract: "Run the installed kubectl against this cluster.",
        discussion: """
            Everything behind the command is kubectl's, but for --config at its beginning.

            Example:
              swiftlet kubectl get pods -A
              swiftlet kubectl --config /srv/other/config.yaml get nodes
            """)

    @OptionGroup var configuration: ConfigurationOptions

    @Argument(parsing: .captureForPassthrough, help: "kubectl's own arguments.")
    var arguments: [String] = []

    func run() throws {
        let settings = try configuration.load()
        try ClusterAccess(settings, logger: commandLogger("kubectl")).requireControlPlane("run kubectl")
        let kubeconfig = settings.kubeconfigPath
        // kubectl would try port 8080.
        guard Files.exists(kubeconfig) else {
            throw ValidationError("\(kubeconfig) is missing; the agent writes it when it starts: is swiftlet running?")
        }
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
