// SPDX-License-Identifier: Apache-2.0

package import OCISpec

extension ImageConfig {
    /// The command line of a container: what the caller gives replaces the image's defaults.
    ///
    /// - Parameters:
    ///   - entrypoint: replaces the image's entrypoint, and takes its default arguments away.
    ///   - arguments: replaces the image's default arguments.
    /// - Throws: ``ImageError/Kind/unsupported`` where nothing is left to run.
    package func commandLine(entrypoint: [String]? = nil, arguments: [String]? = nil) throws(ImageError) -> [String] {
        let line: [String]
        if let entrypoint, !entrypoint.isEmpty {
            line = entrypoint + (arguments ?? [])
        } else {
            let given = arguments.flatMap { $0.isEmpty ? nil : $0 }
            line = (config?.entrypoint ?? []) + (given ?? config?.cmd ?? [])
        }
        guard !line.isEmpty else {
            throw ImageError(
                .unsupported, "", "no command specified",
                remedy: "give a command; the image has neither entrypoint nor cmd")
        }
        return line
    }

    /// The directory to start in, `/` where the image names none.
    package var workingDirectory: String {
        guard let directory = config?.workingDir, !directory.isEmpty else { return "/" }
        return directory.hasPrefix("/") ? directory : "/\(directory)"
    }

    /// The number of the signal that asks the container to stop, SIGTERM where the image names none we know.
    package var stopSignalNumber: Int32 { config?.stopSignal.flatMap(Self.signalNumber) ?? 15 }

    /// The number of `SIGTERM`, `TERM`, `15` or `SIGRTMIN+3`; the numbers are those of all of Linux's usual
    /// architectures (signal(7)).
    package static func signalNumber(_ text: String) -> Int32? {
        if let number = Int32(text) { return (1...64).contains(number) ? number : nil }
        var name = text.uppercased()
        if name.hasPrefix("SIG") { name.removeFirst(3) }
        if name.hasPrefix("RTMIN") {
            let offset = name.dropFirst(5)
            guard let value = offset.isEmpty ? 0 : Int32(offset), (0...30).contains(value) else { return nil }
            return 34 + value
        }
        if name.hasPrefix("RTMAX") {
            let offset = name.dropFirst(5)
            guard let value = offset.isEmpty ? 0 : Int32(offset), (-30...0).contains(value) else { return nil }
            return 64 + value
        }
        let names = [
            "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
            "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
            "WINCH", "IO", "PWR", "SYS",
        ]
        return names.firstIndex(of: name).map { Int32($0 + 1) }
    }
}
