// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import HostChecks

@Suite struct BoardTests {
    @Test func raspberryPiOSNeedsTheMemoryCgroup() throws {
        let pi = try RecordedBoard(Recordings.raspberryPiOS)
        #expect(pi.problems(.warning) == ["MemoryCgroupDisabled"])
        #expect(pi.problems() == ["MemoryCgroupDisabled", "SwapOnDisk"])
        let finding = try #require(pi.finding("MemoryCgroupDisabled"))
        #expect(finding.severity == .error)
        #expect(
            finding.fix
                == .kernelCommandLine(
                    path: "/boot/firmware/cmdline.txt", words: ["cgroup_enable=memory", "cgroup_memory=1"]))
        #expect(finding.remedy.contains("cgroup_enable=memory cgroup_memory=1"))
        #expect(pi.board.model == "Raspberry Pi 4 Model B Rev 1.4")
    }

    @Test(arguments: [Recordings.ubuntu, Recordings.debian])
    func supportedSystemsHaveNoProblem(_ files: [String: String]) throws {
        #expect(try RecordedBoard(files).problems() == [])
    }

    @Test func hybridHierarchiesCount() throws {
        let machine = try RecordedBoard(Recordings.hybrid)
        #expect(machine.problems() == ["KernelFeaturesUnknown"])
        try machine.write("/proc/self/mountinfo", "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n")
        #expect(machine.problems(.error) == ["MemoryCgroupDisabled", "CgroupControllerMissing"])
        try machine.write("/proc/self/mountinfo", "")
        #expect(machine.problems(.error) == ["CgroupsMissing"])
    }

    @Test func theRemedyNamesTheBootLoader() throws {
        let pi = try RecordedBoard(Recordings.debian)
        try pi.write("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n")
        #expect(pi.finding("MemoryCgroupDisabled")?.remedy.contains("update-grub") == true)
        try pi.write("/boot/armbianEnv.txt", "verbosity=1\n")
        #expect(pi.finding("MemoryCgroupDisabled")?.remedy.contains("armbianEnv.txt") == true)
        try pi.write("/boot/cmdline.txt", "root=/dev/mmcblk0p2 cgroup_memory=1 cgroup_enable=memory\n")
        let rebooting = try #require(pi.finding("MemoryCgroupDisabled"))
        #expect(rebooting.fix == nil)
        #expect(rebooting.remedy.contains("reboot"))
    }

    @Test func aMissingFeatureIsAnErrorUnlessItIsOptional() throws {
        let machine = try RecordedBoard(Recordings.debian)
        try machine.write(
            "/lib/modules/6.12.48+deb13-cloud-arm64/modules.dep",
            "kernel/fs/overlayfs/overlay.ko:\nkernel/net/bridge/bridge.ko:\nkernel/net/netfilter/nf_tables.ko:\n")
        #expect(machine.problems() == ["KernelFeatureMissing", "KernelFeatureAbsent"])
        #expect(machine.finding("KernelFeatureMissing")?.summary.contains("CONFIG_VETH") == true)
        try machine.write("/boot/config-6.12.48+deb13-cloud-arm64", "CONFIG_X=y\nCONFIG_VETH=m\nCONFIG_VXLAN=m\n")
        #expect(machine.problems().contains("KernelFeatureMissing"), "the others are not in this configuration")
    }

    @Test func clocks() throws {
        let pi = try RecordedBoard(Recordings.ubuntu)
        pi.probes.isClockSynchronised = false
        #expect(pi.finding("ClockUnsynchronised")?.severity == .info)
        try Files.remove(pi.root + "/dev/rtc0")
        #expect(pi.finding("ClockUnsynchronised")?.severity == .warning)
        pi.probes.now = 0
        #expect(pi.finding("ClockWrong")?.severity == .warning)
    }

    @Test func powerAndHeat() throws {
        let pi = try RecordedBoard(Recordings.ubuntu)
        #expect(pi.finding("PowerGood") != nil)
        try pi.write("/sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
        #expect(pi.problems() == ["UnderVoltage"])
        #expect(pi.finding("UnderVoltage")?.summary == "The supply voltage is too low")
        try pi.write("/sys/devices/platform/soc/soc:firmware/get_throttled", "10000\n")
        #expect(pi.finding("UnderVoltage")?.summary.contains("since the board started") == true)
        try pi.write("/sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
        try pi.write("/sys/class/hwmon/hwmon1/name", "rpi_volt\n")
        try pi.write("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
        try pi.write("/sys/class/thermal/thermal_zone0/temp", "84500\n")
        #expect(pi.problems() == ["UnderVoltage", "Overheating"])
    }

    @Test func ports() throws {
        let machine = try RecordedBoard(Recordings.debian)
        let header = "  sl  local_address rem_address   st\n"
        // 0x403B is 16443, 0x280A is 10250; only the first listens.
        try machine.write(
            "/proc/net/tcp6",
            header + "   0: 00000000000000000000000000000000:403B 00000000000000000000000000000000:0000 0A 0\n"
                + "   1: 00000000000000000000000000000000:280A 00000000000000000000000000000000:0000 01 0\n")
        try machine.write("/proc/net/udp", header + "  7: 00000000:2118 00000000:0000 07 0\n")
        let findings = machine.board(ports: [
            .init(16443, purpose: "the API", field: "api.port"), .init(10250, purpose: "x", field: "x"),
            .init(8472, isUDP: true, purpose: "VXLAN", field: "none"),
        ]).examine().filter { $0.id == "PortInUse" }
        #expect(
            findings.map(\.summary) == [
                "Port 16443/tcp is in use by another program", "Port 8472/udp is in use by another program",
            ])
        #expect(findings.first?.remedy.contains("api.port") == true)
    }

    @Test func networkAndFirewalls() throws {
        let machine = try RecordedBoard(Recordings.debian)
        machine.probes.addresses = []
        machine.probes.dropsForwarded = true
        try machine.write("/etc/ufw/ufw.conf", "ENABLED=yes\n")
        try machine.write("/etc/sysctl.d/10-router.conf", "# no\nnet.ipv4.ip_forward = 0\n")
        #expect(machine.problems() == ["NoAddress", "FirewallActive", "ForwardingDropped", "ForwardingSwitchedOff"])
    }

    @Test func dualStack() throws {
        let machine = try RecordedBoard(Recordings.debian)
        try machine.write("/etc/sysctl.d/10-router.conf", "net.ipv6.conf.all.forwarding = 0\n")
        #expect(machine.problems() == [])
        machine.fieldOfIPv6 = "network.clusterCIDR"
        #expect(machine.problems() == ["IPv6Missing", "ForwardingSwitchedOff"])
        #expect(machine.finding("IPv6Missing")?.severity == .error)
        #expect(machine.finding("IPv6Missing")?.remedy.contains("ipv6.disable=1") == true)
        try machine.write("/proc/sys/net/ipv6/conf/all/forwarding", "0\n")
        #expect(machine.problems() == ["ForwardingSwitchedOff"])
    }

    @Test func storageMemoryAndNames() throws {
        let machine = try RecordedBoard(Recordings.debian)
        machine.probes.space = .example(availableBytes: 100 << 20, freeInodes: 5)
        machine.probes.fileSystemType = 0x6969
        machine.probes.pageBytes = 16384
        try machine.write("/etc/machine-id", "uninitialized\n")
        try machine.write("/proc/sys/kernel/hostname", "my_board\n")
        try machine.write("/proc/meminfo", "MemTotal: 200000 kB\n")
        try machine.write("/proc/sys/fs/inotify/max_user_instances", "128\n")
        #expect(
            Set(machine.problems())
                == [
                    "FileSystemUnfit", "DiskAlmostFull", "InodesScarce", "PageSize", "MemorySmall", "MachineIDMissing",
                    "HostNameInvalid", "InotifyLimit",
                ])
        #expect(machine.problems(.error) == ["FileSystemUnfit", "HostNameInvalid"])
    }

    @Test func everyProblemHasAReason() throws {
        for files in [Recordings.raspberryPiOS, Recordings.hybrid, [:]] {
            for finding in try RecordedBoard(files).board.examine() where finding.severity >= .warning {
                #expect(!finding.why.isEmpty && !finding.remedy.isEmpty, "\(finding.id)")
            }
        }
    }
}
