// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

extension RootFilesystem {
    /// Hides and write-protects the paths that the configuration lists. Missing paths are left out, as in runc.
    borrowing func restrictPaths() throws {
        for path in context.spec.linux.readonlyPaths { try makeReadOnly(path) }
        if context.spec.linux.maskedPaths.isEmpty { return }
        // The host's /dev/null, opened by the host's path: the image's may be anything.
        let null = try FileDescriptor.open("/dev/null", .path)
        for path in context.spec.linux.maskedPaths { try mask(path, with: null) }
    }

    private borrowing func makeReadOnly(_ path: String) throws {
        guard let target = try tree.openExisting(path) else { return }
        let copy = try Mounting.cloneTree("", in: target.rawValue, recursive: true)
        try Mounting.setAttributes(of: copy, set: .readOnly, recursive: true, path)
        try Mounting.attach(copy, to: target, path)
    }

    private borrowing func mask(_ path: String, with null: borrowing FileDescriptor) throws {
        guard let target = try tree.openExisting(path) else { return }
        if try target.status(path).kind == .directory {
            try Mounting.mount(
                "tmpfs", at: target.procPath, type: "tmpfs", [.readOnly, .noSetUserID, .noDevices, .noExecute],
                data: context.spec.linux.mountLabel.map { "context=\"\($0)\"" })
        } else {
            try Mounting.attach(try Mounting.cloneTree("", in: null.rawValue), to: target, path)
        }
    }

    /// Sets kernel parameters by way of the host's /proc: what a file there means is decided by the namespaces of
    /// the process that writes.
    static func setKernelParameters(_ parameters: [String: String]) throws(LauncherError) {
        for (name, value) in parameters.sorted(by: { $0.key < $1.key }) {
            // Dots separate, unless the name is written with slashes (sysctl(8)).
            let separated = name.contains("/") ? name : String(name.map { $0 == "." ? "/" : $0 })
            guard !separated.split(separator: "/").contains("..") else {
                throw LauncherError("linux.sysctl: \"\(name)\" is no parameter")
            }
            do {
                try Files.write(value, to: "/proc/sys/\(separated)")
            } catch {
                throw LauncherError("linux.sysctl: setting \(name) to \(value)", error)
            }
        }
    }
}
