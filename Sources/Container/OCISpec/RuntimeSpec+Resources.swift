// SPDX-License-Identifier: Apache-2.0

extension RuntimeSpec {
    /// Limits of a container's cgroup (config-linux.md, "Control groups").
    package struct Resources: SpecValue {
        package var devices: [DeviceRule] = []
        package var memory: Memory?
        package var cpu: CPU?
        package var pids: Pids?
        package var blockIO: BlockIO?
        package var hugepageLimits: [HugepageLimit] = []
        package var network: Network?
        /// Files of the unified hierarchy and what to write to them (`memory.high`).
        package var unified: [String: String] = [:]

        package init() {}

        package init(from reader: SpecReader) throws(OCISpecError) {
            devices = try reader.values("devices")
            memory = try reader.value("memory")
            cpu = try reader.value("cpu")
            pids = try reader.value("pids")
            blockIO = try reader.value("blockIO")
            hugepageLimits = try reader.values("hugepageLimits")
            network = try reader.value("network")
            unified = try reader.stringMap("unified")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("devices", devices)
            writer.add("memory", memory)
            writer.add("cpu", cpu)
            writer.add("pids", pids)
            writer.add("blockIO", blockIO)
            writer.add("hugepageLimits", hugepageLimits)
            writer.add("network", network)
            writer.add("unified", unified)
        }
    }

    /// Whether devices may be used; later rules win.
    package struct DeviceRule: SpecValue {
        package var allow: Bool
        /// `a` (all), `c` or `b`; nil is `a`.
        package var type: String?
        /// Nil means every number.
        package var major: Int64?
        /// Nil means every number.
        package var minor: Int64?
        /// A combination of `r`, `w` and `m`; nil is all of them.
        package var access: String?

        package init(
            allow: Bool, type: String? = nil, major: Int64? = nil, minor: Int64? = nil, access: String? = nil
        ) {
            self.allow = allow
            self.type = type
            self.major = major
            self.minor = minor
            self.access = access
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            allow = try reader.bool("allow")
            type = try reader.string("type")
            major = try reader.integer("major")
            minor = try reader.integer("minor")
            access = try reader.string("access")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("allow", allow)
            writer.add("type", type)
            writer.add("major", major)
            writer.add("minor", minor)
            writer.add("access", access)
        }
    }

    /// Memory limits in bytes; -1 is unlimited.
    package struct Memory: SpecValue {
        package var limit: Int64?
        /// The soft limit (`memory.low` on cgroup v2).
        package var reservation: Int64?
        /// Memory and swap together.
        package var swap: Int64?
        /// 0...100; cgroup v1 only.
        package var swappiness: UInt64?
        /// cgroup v1 only.
        package var disableOOMKiller: Bool?
        /// Whether an update below the current use is refused.
        package var checkBeforeUpdate: Bool?

        package init(limit: Int64? = nil, reservation: Int64? = nil, swap: Int64? = nil) {
            self.limit = limit
            self.reservation = reservation
            self.swap = swap
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            limit = try reader.integer("limit")
            reservation = try reader.integer("reservation")
            swap = try reader.integer("swap")
            swappiness = try reader.integer("swappiness")
            disableOOMKiller = try reader.optionalBool("disableOOMKiller")
            checkBeforeUpdate = try reader.optionalBool("checkBeforeUpdate")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("limit", limit)
            writer.add("reservation", reservation)
            writer.add("swap", swap)
            writer.add("swappiness", swappiness)
            writer.add("disableOOMKiller", disableOOMKiller)
            writer.add("checkBeforeUpdate", checkBeforeUpdate)
        }
    }

    /// CPU time and placement; times are microseconds.
    package struct CPU: SpecValue {
        /// cgroup v1 shares, 2...262144; converted to a weight on cgroup v2.
        package var shares: UInt64?
        package var quota: Int64?
        package var burst: UInt64?
        package var period: UInt64?
        package var realtimeRuntime: Int64?
        package var realtimePeriod: UInt64?
        /// CPUs as a list, `0-1,3`.
        package var cpus: String?
        /// Memory nodes as a list.
        package var mems: String?
        /// 1 makes the cgroup idle, 0 normal.
        package var idle: Int64?

        package init(shares: UInt64? = nil, quota: Int64? = nil, period: UInt64? = nil) {
            self.shares = shares
            self.quota = quota
            self.period = period
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            shares = try reader.integer("shares")
            quota = try reader.integer("quota")
            burst = try reader.integer("burst")
            period = try reader.integer("period")
            realtimeRuntime = try reader.integer("realtimeRuntime")
            realtimePeriod = try reader.integer("realtimePeriod")
            cpus = try reader.string("cpus")
            mems = try reader.string("mems")
            idle = try reader.integer("idle")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("shares", shares)
            writer.add("quota", quota)
            writer.add("burst", burst)
            writer.add("period", period)
            writer.add("realtimeRuntime", realtimeRuntime)
            writer.add("realtimePeriod", realtimePeriod)
            writer.add("cpus", cpus)
            writer.add("mems", mems)
            writer.add("idle", idle)
        }
    }

    /// The number of tasks; a limit of 0 or less is unlimited.
    package struct Pids: SpecValue {
        package var limit: Int64

        package init(limit: Int64) { self.limit = limit }

        package init(from reader: SpecReader) throws(OCISpecError) { limit = try reader.integer("limit") ?? 0 }

        package func write(to writer: inout SpecWriter) { writer.add("limit", limit) }
    }

    /// Weights and limits of block I/O.
    package struct BlockIO: SpecValue {
        /// 10...1000.
        package var weight: UInt16?
        package var weightDevice: [WeightDevice] = []
        package var throttleReadBpsDevice: [ThrottleDevice] = []
        package var throttleWriteBpsDevice: [ThrottleDevice] = []
        package var throttleReadIOPSDevice: [ThrottleDevice] = []
        package var throttleWriteIOPSDevice: [ThrottleDevice] = []

        package init() {}

        package init(from reader: SpecReader) throws(OCISpecError) {
            weight = try reader.integer("weight")
            weightDevice = try reader.values("weightDevice")
            throttleReadBpsDevice = try reader.values("throttleReadBpsDevice")
            throttleWriteBpsDevice = try reader.values("throttleWriteBpsDevice")
            throttleReadIOPSDevice = try reader.values("throttleReadIOPSDevice")
            throttleWriteIOPSDevice = try reader.values("throttleWriteIOPSDevice")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("weight", weight)
            writer.add("weightDevice", weightDevice)
            writer.add("throttleReadBpsDevice", throttleReadBpsDevice)
            writer.add("throttleWriteBpsDevice", throttleWriteBpsDevice)
            writer.add("throttleReadIOPSDevice", throttleReadIOPSDevice)
            writer.add("throttleWriteIOPSDevice", throttleWriteIOPSDevice)
        }
    }

    /// The I/O weight of one device.
    package struct WeightDevice: SpecValue {
        package var major: Int64
        package var minor: Int64
        package var weight: UInt16?

        package init(from reader: SpecReader) throws(OCISpecError) {
            major = try reader.integer("major") ?? 0
            minor = try reader.integer("minor") ?? 0
            weight = try reader.integer("weight")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("major", major)
            writer.add("minor", minor)
            writer.add("weight", weight)
        }
    }

    /// The I/O limit of one device, bytes or operations per second.
    package struct ThrottleDevice: SpecValue {
        package var major: Int64
        package var minor: Int64
        package var rate: UInt64

        package init(from reader: SpecReader) throws(OCISpecError) {
            major = try reader.integer("major") ?? 0
            minor = try reader.integer("minor") ?? 0
            rate = try reader.integer("rate") ?? 0
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("major", major)
            writer.add("minor", minor)
            writer.add("rate", rate)
        }
    }

    /// The bytes of huge pages of one size that may be used.
    package struct HugepageLimit: SpecValue {
        /// `2MB`, `1GB`, ...
        package var pageSize: String
        package var limit: UInt64

        package init(pageSize: String, limit: UInt64) {
            self.pageSize = pageSize
            self.limit = limit
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            pageSize = try reader.requiredString("pageSize")
            limit = try reader.integer("limit") ?? 0
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("pageSize", pageSize)
            writer.add("limit", limit)
        }
    }

    /// The class and priorities of network traffic; cgroup v1 only.
    package struct Network: SpecValue {
        package var classID: UInt32?
        package var priorities: [InterfacePriority] = []

        package init(from reader: SpecReader) throws(OCISpecError) {
            classID = try reader.integer("classID")
            priorities = try reader.values("priorities")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("classID", classID)
            writer.add("priorities", priorities)
        }
    }

    /// The priority of traffic through one interface.
    package struct InterfacePriority: SpecValue {
        package var name: String
        package var priority: UInt32

        package init(from reader: SpecReader) throws(OCISpecError) {
            name = try reader.requiredString("name")
            priority = try reader.integer("priority") ?? 0
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("name", name)
            writer.add("priority", priority)
        }
    }
}
