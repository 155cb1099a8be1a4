// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// What the machine says about itself.
package struct MachineFacts: Hashable, Sendable {
    package var machineID = ""
    package var systemUUID = ""
    package var bootID = ""
    package var kernelVersion = ""
    package var osImage = ""
    /// Go's name: `amd64`, `arm64`.
    package var architecture = ""
    package var cpus = 1
    /// Bytes.
    package var memory: Int64 = 0
    /// Bytes of swap.
    package var swap: Int64 = 0

    /// Reads /proc, /etc and /sys.
    package static func read() -> MachineFacts {
        var facts = MachineFacts()
        // Files that a minimal system does not have leave their facts empty.
        let text = { (path: String) -> String in (try? Files.readText(path)) ?? "" }
        facts.machineID = text("/etc/machine-id")
        facts.systemUUID = text("/sys/class/dmi/id/product_uuid").lowercased()
        if facts.systemUUID.isEmpty { facts.systemUUID = facts.machineID }
        facts.bootID = text("/proc/sys/kernel/random/boot_id")
        facts.kernelVersion = text("/proc/sys/kernel/osrelease")
        facts.osImage = osImage(text("/etc/os-release"))
        #if arch(x86_64)
            facts.architecture = "amd64"
        #elseif arch(arm64)
            facts.architecture = "arm64"
        #elseif arch(arm)
            facts.architecture = "arm"
        #endif
        facts.cpus = max(1, cpuCount(text("/sys/devices/system/cpu/online")))
        let memory = text("/proc/meminfo")
        facts.memory = memoryValue("MemTotal", memory)
        facts.swap = memoryValue("SwapTotal", memory)
        return facts
    }

    /// `PRETTY_NAME` of an os-release(5).
    static func osImage(_ release: String) -> String {
        for line in release.split(separator: "\n") where line.hasPrefix("PRETTY_NAME=") {
            return line.dropFirst("PRETTY_NAME=".count).filter { $0 != "\"" }
        }
        return "Linux"
    }

    /// The number of CPUs in a list such as `0-3,6`.
    static func cpuCount(_ list: String) -> Int {
        list.split(separator: ",").reduce(0) { sum, part in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, last >= first else { return sum }
            return sum + last - first + 1
        }
    }

    /// A value of /proc/meminfo in bytes; 0 if it is not there.
    static func memoryValue(_ name: String, _ text: String) -> Int64 {
        for line in text.split(separator: "\n") where line.hasPrefix("\(name):") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            if words.count >= 2, let kibibytes = Int64(words[1]) { return kibibytes * 1024 }
        }
        return 0
    }
}
