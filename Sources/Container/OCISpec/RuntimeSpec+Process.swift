// SPDX-License-Identifier: Apache-2.0

import JSON

extension RuntimeSpec {
    /// The container's process, or one that `exec` adds (config.md, "Process").
    package struct Process: SpecValue {
        /// Whether it gets a pseudo-terminal.
        package var terminal = false
        /// The terminal's initial size in characters.
        package var consoleSize: ConsoleSize?
        /// The ids it runs with.
        package var user: User
        /// Its arguments; the first is searched for in `PATH` of ``env`` if it has no slash.
        package var args: [String]
        /// Its whole environment, `KEY=value`.
        package var env: [String]
        /// The absolute path of its working directory inside the container.
        package var cwd: String
        /// Its capability sets; nil leaves what the ids give.
        package var capabilities: Capabilities?
        /// Its resource limits.
        package var rlimits: [ResourceLimit] = []
        /// Whether execve(2) may no longer give it privileges.
        package var noNewPrivileges = false
        /// The AppArmor profile to run under.
        package var apparmorProfile: String?
        /// What is written to `/proc/self/oom_score_adj`, -1000...1000.
        package var oomScoreAdj: Int?
        /// The SELinux label to run under.
        package var selinuxLabel: String?
        /// The CPU scheduler's policy.
        package var scheduler: Scheduler?
        /// The priority of block I/O.
        package var ioPriority: IOPriority?

        package init(args: [String], env: [String] = [], cwd: String = "/", user: User = User()) {
            self.args = args
            self.env = env
            self.cwd = cwd
            self.user = user
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            terminal = try reader.bool("terminal")
            consoleSize = try reader.value("consoleSize")
            user = try reader.value("user") ?? User()
            args = try reader.strings("args")
            env = try reader.strings("env")
            cwd = try reader.requiredString("cwd")
            capabilities = try reader.value("capabilities")
            rlimits = try reader.values("rlimits")
            noNewPrivileges = try reader.bool("noNewPrivileges")
            apparmorProfile = try reader.string("apparmorProfile")
            oomScoreAdj = try reader.integer("oomScoreAdj")
            selinuxLabel = try reader.string("selinuxLabel")
            scheduler = try reader.value("scheduler")
            ioPriority = try reader.value("ioPriority")
        }

        package func write(to writer: inout SpecWriter) {
            writer.addIfTrue("terminal", terminal)
            writer.add("consoleSize", consoleSize)
            writer.add("user", user)
            writer.add("args", args)
            writer.add("env", env)
            writer.add("cwd", cwd)
            writer.add("capabilities", capabilities)
            writer.add("rlimits", rlimits)
            writer.addIfTrue("noNewPrivileges", noNewPrivileges)
            writer.add("apparmorProfile", apparmorProfile)
            writer.add("oomScoreAdj", oomScoreAdj)
            writer.add("selinuxLabel", selinuxLabel)
            writer.add("scheduler", scheduler)
            writer.add("ioPriority", ioPriority)
        }
    }

    /// The size of a terminal in characters.
    package struct ConsoleSize: SpecValue {
        package var height: UInt16
        package var width: UInt16

        package init(height: UInt16, width: UInt16) {
            self.height = height
            self.width = width
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            height = try reader.integer("height") ?? 0
            width = try reader.integer("width") ?? 0
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("height", height)
            writer.add("width", width)
        }
    }

    /// The ids that a process runs with, as seen inside the container's user namespace.
    package struct User: SpecValue {
        package var uid: UInt32
        package var gid: UInt32
        /// The file mode creation mask; nil keeps the runtime's own (0022).
        package var umask: UInt32?
        /// Supplementary groups.
        package var additionalGids: [UInt32]

        package init(uid: UInt32 = 0, gid: UInt32 = 0, additionalGids: [UInt32] = [], umask: UInt32? = nil) {
            self.uid = uid
            self.gid = gid
            self.additionalGids = additionalGids
            self.umask = umask
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            uid = try reader.integer("uid") ?? 0
            gid = try reader.integer("gid") ?? 0
            umask = try reader.integer("umask")
            additionalGids = []
            for (index, element) in (reader.object["additionalGids"]?.elements ?? []).enumerated() {
                guard let number = element.int, let gid = UInt32(exactly: number) else {
                    throw OCISpecError(
                        path: "\(reader.path(of: "additionalGids"))[\(index)]", reason: "expected a group id")
                }
                additionalGids.append(gid)
            }
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("uid", uid)
            writer.add("gid", gid)
            writer.add("umask", umask)
            writer.add("additionalGids", integers: additionalGids)
        }
    }

    /// The five capability sets of capabilities(7); the names are `CAP_...`.
    package struct Capabilities: SpecValue {
        package var bounding: [String]
        package var effective: [String]
        package var inheritable: [String]
        package var permitted: [String]
        package var ambient: [String]

        package init(
            bounding: [String] = [], effective: [String] = [], inheritable: [String] = [], permitted: [String] = [],
            ambient: [String] = []
        ) {
            self.bounding = bounding
            self.effective = effective
            self.inheritable = inheritable
            self.permitted = permitted
            self.ambient = ambient
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            bounding = try reader.strings("bounding")
            effective = try reader.strings("effective")
            inheritable = try reader.strings("inheritable")
            permitted = try reader.strings("permitted")
            ambient = try reader.strings("ambient")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("bounding", bounding)
            writer.add("effective", effective)
            writer.add("inheritable", inheritable)
            writer.add("permitted", permitted)
            writer.add("ambient", ambient)
        }
    }

    /// One resource limit of getrlimit(2).
    package struct ResourceLimit: SpecValue {
        /// Its name, `RLIMIT_NOFILE`.
        package var type: String
        package var soft: UInt64
        package var hard: UInt64

        package init(type: String, soft: UInt64, hard: UInt64) {
            self.type = type
            self.soft = soft
            self.hard = hard
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            type = try reader.requiredString("type")
            soft = try reader.integer("soft") ?? 0
            hard = try reader.integer("hard") ?? 0
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("type", type)
            writer.add("soft", soft)
            writer.add("hard", hard)
        }
    }

    /// The CPU scheduler's policy and attributes (sched_setattr(2)).
    package struct Scheduler: SpecValue {
        /// `SCHED_OTHER`, `SCHED_FIFO`, `SCHED_RR`, `SCHED_BATCH`, `SCHED_IDLE`, `SCHED_DEADLINE`.
        package var policy: String
        package var nice: Int32 = 0
        package var priority: Int32 = 0
        /// `SCHED_FLAG_RESET_ON_FORK` and so on.
        package var flags: [String] = []
        /// Nanoseconds, for `SCHED_DEADLINE`.
        package var runtime: UInt64 = 0
        /// Nanoseconds, for `SCHED_DEADLINE`.
        package var deadline: UInt64 = 0
        /// Nanoseconds, for `SCHED_DEADLINE`.
        package var period: UInt64 = 0

        package init(policy: String) { self.policy = policy }

        package init(from reader: SpecReader) throws(OCISpecError) {
            policy = try reader.requiredString("policy")
            nice = try reader.integer("nice") ?? 0
            priority = try reader.integer("priority") ?? 0
            flags = try reader.strings("flags")
            runtime = try reader.integer("runtime") ?? 0
            deadline = try reader.integer("deadline") ?? 0
            period = try reader.integer("period") ?? 0
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("policy", policy)
            if nice != 0 { writer.add("nice", nice) }
            if priority != 0 { writer.add("priority", priority) }
            writer.add("flags", flags)
            if runtime != 0 { writer.add("runtime", runtime) }
            if deadline != 0 { writer.add("deadline", deadline) }
            if period != 0 { writer.add("period", period) }
        }
    }

    /// The priority of block I/O (ioprio_set(2)).
    package struct IOPriority: SpecValue {
        /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
        package var schedulingClass: String
        /// 0 (highest) to 7.
        package var priority: Int32

        package init(schedulingClass: String, priority: Int32) {
            self.schedulingClass = schedulingClass
            self.priority = priority
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            schedulingClass = try reader.requiredString("class")
            priority = try reader.integer("priority") ?? 0
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("class", schedulingClass)
            writer.add("priority", priority)
        }
    }
}
