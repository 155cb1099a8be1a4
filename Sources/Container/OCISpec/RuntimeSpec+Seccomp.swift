// SPDX-License-Identifier: Apache-2.0

extension RuntimeSpec {
    /// The system call filter (config-linux.md, "Seccomp").
    package struct Seccomp: SpecValue {
        /// What happens to calls that no rule names, `SCMP_ACT_ERRNO`.
        package var defaultAction: String
        /// The error number of a default action that returns one; nil is EPERM.
        package var defaultErrnoRet: UInt32?
        /// `SCMP_ARCH_X86_64` and so on; empty means the machine's own.
        package var architectures: [String] = []
        /// `SECCOMP_FILTER_FLAG_LOG` and so on.
        package var flags: [String] = []
        /// The UNIX socket of a notification agent.
        package var listenerPath: String?
        /// What the notification agent is told.
        package var listenerMetadata: String?
        package var syscalls: [SyscallRule] = []

        package init(defaultAction: String, defaultErrnoRet: UInt32? = nil) {
            self.defaultAction = defaultAction
            self.defaultErrnoRet = defaultErrnoRet
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            defaultAction = try reader.requiredString("defaultAction")
            defaultErrnoRet = try reader.integer("defaultErrnoRet")
            architectures = try reader.strings("architectures")
            flags = try reader.strings("flags")
            listenerPath = try reader.string("listenerPath")
            listenerMetadata = try reader.string("listenerMetadata")
            syscalls = try reader.values("syscalls")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("defaultAction", defaultAction)
            writer.add("defaultErrnoRet", defaultErrnoRet)
            writer.add("architectures", architectures)
            writer.add("flags", flags)
            writer.add("listenerPath", listenerPath)
            writer.add("listenerMetadata", listenerMetadata)
            writer.add("syscalls", syscalls)
        }
    }

    /// What happens to some system calls.
    package struct SyscallRule: SpecValue {
        package var names: [String]
        package var action: String
        /// The error number of an action that returns one; nil is EPERM.
        package var errnoRet: UInt32?
        /// Conditions that must all hold.
        package var args: [SyscallArgument]

        package init(names: [String], action: String, errnoRet: UInt32? = nil, args: [SyscallArgument] = []) {
            self.names = names
            self.action = action
            self.errnoRet = errnoRet
            self.args = args
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            names = try reader.strings("names")
            if names.isEmpty {
                throw OCISpecError(path: reader.path(of: "names"), reason: "must name at least one system call")
            }
            action = try reader.requiredString("action")
            errnoRet = try reader.integer("errnoRet")
            args = try reader.values("args")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("names", names)
            writer.add("action", action)
            writer.add("errnoRet", errnoRet)
            writer.add("args", args)
        }
    }

    /// A condition on one argument of a system call.
    package struct SyscallArgument: SpecValue {
        /// 0...5.
        package var index: UInt32
        package var value: UInt64
        /// The second operand of `SCMP_CMP_MASKED_EQ`.
        package var valueTwo: UInt64
        /// `SCMP_CMP_EQ`, `SCMP_CMP_MASKED_EQ` and so on.
        package var op: String

        package init(index: UInt32, value: UInt64, valueTwo: UInt64 = 0, op: String) {
            self.index = index
            self.value = value
            self.valueTwo = valueTwo
            self.op = op
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            index = try reader.integer("index") ?? 0
            value = try reader.integer("value") ?? 0
            valueTwo = try reader.integer("valueTwo") ?? 0
            op = try reader.requiredString("op")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("index", index)
            writer.add("value", value)
            if valueTwo != 0 { writer.add("valueTwo", valueTwo) }
            writer.add("op", op)
        }
    }
}
