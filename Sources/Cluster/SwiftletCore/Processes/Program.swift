// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Programs of the operating system that commands call.
package enum Program: Sendable {
    /// Why a program did not do what it was asked.
    package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// What a program printed and how it ended.
    package struct Result: Hashable, Sendable {
        package var output: String
        package var status: Int32
    }

    /// Most that is read of a program's output.
    private static let outputLimit = 4 << 20

    /// The first executable of this name on the PATH or where administrators' programs are.
    package static func find(_ name: String) -> String? {
        let path = (environmentVariable("PATH") ?? "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").lazy.map { "\($0)/\(name)" }.first(where: Files.isExecutable)
    }

    /// Finds a program or says which package has it.
    ///
    /// - Throws: ``Failure``.
    package static func require(_ name: String, package: String) throws(Failure) -> String {
        guard let path = find(name) else {
            throw Failure(description: "\(name) is not installed; apt install \(package)")
        }
        return path
    }

    /// Runs a program to its end. Standard output and error come back together; a program that prints more than
    /// 4 MiB is cut off there and gets SIGPIPE.
    ///
    /// - Throws: ``SystemError`` when it cannot be started.
    package static func run(_ path: String, _ arguments: [String]) throws(SystemError) -> Result {
        let pipe = try Sockets.pipe()
        let empty = try FileDescriptor.open("/dev/null", .read)
        var spawner = ProcessSpawner(
            path: path, arguments: [String(path.split(separator: "/").last ?? "program")] + arguments,
            environment: Processes.environment())
        spawner.descriptors = [(empty.rawValue, 0), (pipe.second.rawValue, 1), (pipe.second.rawValue, 2)]
        let child = try spawner.start()
        // The writing end is given up with the pair, so that reading ends with the program.
        let output = try pipe.takeFirst().readAll(limit: outputLimit, path)
        let status = try Processes.wait(for: child.process)
        return Result(output: String(decoding: output, as: UTF8.self), status: status.shellCode)
    }
}
