// SPDX-License-Identifier: Apache-2.0

/// Where the pod runtime keeps things, and what it runs.
package struct RuntimeConfiguration: Sendable {
    /// The OCI runtime, which is the monitor of a container under another name: `/usr/libexec/swiftlet/swiftlet-launcher`.
    package var launcher: String
    /// What is forgotten at a reboot, on a file system in memory: `/run/swiftlet`.
    package var runDirectory: String
    /// What is kept: `/var/lib/swiftlet`.
    package var stateDirectory: String
    /// `/var/log/pods`
    package var podLogDirectory: String
    /// `/var/log/containers`
    package var containerLogDirectory: String
    /// The cgroup below which pods live, relative to the hierarchies' root: `/kubepods` is made inside it.
    package var cgroupRoot: String
    /// Who makes pods' control groups from now on; those that are there stay as they are.
    package var cgroupDriver = CgroupDriver.cgroupfs
    /// The unit that this program runs as: pods outlive it, but not by much when the machine goes down.
    package var serviceUnit = "swiftlet.service"
    /// Bytes after which a log file is rotated.
    package var logSizeLimit = 10 << 20
    /// Log files that are kept of a container.
    package var logFileLimit = 5
    /// Processes that a pod may have; nil for no limit.
    package var podProcessLimit: Int64?
    package var journal = Journal()

    /// How containers' output goes to journald, for those whose spec says that it does.
    package struct Journal: Sendable, Hashable {
        /// Where journald listens.
        package var socket = "/run/systemd/journal/socket"
        /// Lines of one container that are taken in ten seconds.
        package var limit = 1000
        /// What `SWIFTLET_NODE` says.
        package var node = ""

        package init() {}
    }

    package init(
        launcher: String, runDirectory: String, stateDirectory: String,
        podLogDirectory: String = "/var/log/pods", containerLogDirectory: String = "/var/log/containers",
        cgroupRoot: String = "/"
    ) {
        self.launcher = launcher
        self.runDirectory = runDirectory
        self.stateDirectory = stateDirectory
        self.podLogDirectory = podLogDirectory
        self.containerLogDirectory = containerLogDirectory
        self.cgroupRoot = cgroupRoot
    }

    /// A container's own directory: its bundle and what is known of it.
    func containerDirectory(_ id: String) -> String { "\(runDirectory)/containers/\(id)" }
    /// A pod's sandbox.
    func sandboxDirectory(_ podUID: String) -> String { "\(runDirectory)/sandboxes/\(podUID)" }
    /// The launcher's state.
    var launcherRoot: String { "\(runDirectory)/launcher" }

    /// The directory of a pod's logs, `<namespace>_<name>_<uid>`.
    package func logDirectory(_ pod: PodIdentity) -> String {
        "\(podLogDirectory)/\(pod.namespace)_\(pod.name)_\(pod.uid)"
    }

    /// The log of one instance, `<container>/<attempt>.log`.
    package func logPath(_ pod: PodIdentity, container: String, attempt: Int) -> String {
        "\(logDirectory(pod))/\(container)/\(attempt).log"
    }
}
