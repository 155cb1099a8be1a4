// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// A mount's options, sorted by the system calls that they concern (config.md, "Linux mount options").
struct MountOptions: Equatable {
    /// Flags that are set, for mount(2).
    var flags: MountFlags = []
    /// Flags that are asked to be off (`rw`, `exec`), which matters for bind mounts.
    var cleared: MountFlags = []
    /// Propagation types to set afterwards, one mount(2) each.
    var propagation: [MountFlags] = []
    /// Attributes for the whole tree (`rro`, `rnosuid`).
    var recursiveSet: MountAttributes = []
    var recursiveClear: MountAttributes = []
    /// The file system's own options.
    var data: [String] = []
    /// Copy what the image has at the place up into the tmpfs.
    var copiesUp = false
    /// Map ids; the mapping is the mount's or, lacking that, the container's.
    var idMap: IDMap?

    enum IDMap { case mount, recursive }

    var isBind: Bool { flags.contains(.bind) }

    init(_ options: [String]) {
        for option in options { apply(option) }
    }

    private mutating func apply(_ option: String) {
        if let flag = Self.set[option] {
            flags.formUnion(flag)
            cleared.subtract(flag)
        } else if let flag = Self.clear[option] {
            flags.subtract(flag)
            cleared.formUnion(flag)
        } else if let type = Self.propagationTypes[option] {
            propagation.append(type)
        } else if let (attributes, isSet) = Self.recursive[option] {
            applyRecursive(attributes, isSet)
        } else {
            switch option {
            case "defaults", "": break
            case "tmpcopyup": copiesUp = true
            case "idmap": idMap = .mount
            case "ridmap": idMap = .recursive
            default: data.append(option)
            }
        }
    }

    private mutating func applyRecursive(_ attributes: MountAttributes, _ isSet: Bool) {
        // The access-time modes are one field: setting one clears the field first.
        let isTimeMode = !attributes.isDisjoint(with: .accessTimeMask) || attributes.isEmpty
        if isTimeMode {
            recursiveClear.formUnion(.accessTimeMask)
            recursiveSet.subtract(.accessTimeMask)
            if isSet { recursiveSet.formUnion(attributes) }
        } else if isSet {
            recursiveSet.formUnion(attributes)
            recursiveClear.subtract(attributes)
        } else {
            recursiveClear.formUnion(attributes)
            recursiveSet.subtract(attributes)
        }
    }

    /// The attributes of mount_setattr(2) that a bind mount's own flags ask for.
    var bindAttributes: (set: MountAttributes, clear: MountAttributes) {
        var set: MountAttributes = []
        var clear: MountAttributes = []
        for (flag, attribute) in Self.attributes {
            if flags.contains(flag) { set.formUnion(attribute) }
            if cleared.contains(flag) { clear.formUnion(attribute) }
        }
        let timeModes: [(MountFlags, MountAttributes)] = [
            (.relativeAccessTime, []), (.strictAccessTime, .strictAccessTime), (.noAccessTime, .noAccessTime),
        ]
        for (flag, attribute) in timeModes where flags.contains(flag) {
            clear.formUnion(.accessTimeMask)
            set.subtract(.accessTimeMask)
            set.formUnion(attribute)
        }
        return (set, clear)
    }

    private static let attributes: [(MountFlags, MountAttributes)] = [
        (.readOnly, .readOnly), (.noSetUserID, .noSetUserID), (.noDevices, .noDevices), (.noExecute, .noExecute),
        (.noDirectoryAccessTime, .noDirectoryAccessTime), (.noSymbolicLinks, .noSymbolicLinks),
    ]

    private static let set: [String: MountFlags] = [
        "ro": .readOnly, "nosuid": .noSetUserID, "nodev": .noDevices, "noexec": .noExecute, "sync": .synchronous,
        "remount": .remount, "mand": .mandatoryLocks, "dirsync": .synchronousDirectories, "noatime": .noAccessTime,
        "nodiratime": .noDirectoryAccessTime, "bind": .bind, "rbind": [.bind, .recursive], "silent": .silent,
        "relatime": .relativeAccessTime, "strictatime": .strictAccessTime, "iversion": .inodeVersion,
        "lazytime": .lazyTime, "nosymfollow": .noSymbolicLinks,
    ]
    private static let clear: [String: MountFlags] = [
        "rw": .readOnly, "suid": .noSetUserID, "dev": .noDevices, "exec": .noExecute, "async": .synchronous,
        "nomand": .mandatoryLocks, "atime": .noAccessTime, "diratime": .noDirectoryAccessTime, "loud": .silent,
        "norelatime": .relativeAccessTime, "nostrictatime": .strictAccessTime, "noiversion": .inodeVersion,
        "nolazytime": .lazyTime, "symfollow": .noSymbolicLinks,
    ]
    static let propagationTypes: [String: MountFlags] = [
        "private": .private, "rprivate": [.private, .recursive], "shared": .shared, "rshared": [.shared, .recursive],
        "slave": .slave, "rslave": [.slave, .recursive], "unbindable": .unbindable,
        "runbindable": [.unbindable, .recursive],
    ]
    private static let recursive: [String: (MountAttributes, Bool)] = [
        "rro": (.readOnly, true), "rrw": (.readOnly, false), "rnosuid": (.noSetUserID, true),
        "rsuid": (.noSetUserID, false), "rnodev": (.noDevices, true), "rdev": (.noDevices, false),
        "rnoexec": (.noExecute, true), "rexec": (.noExecute, false), "rnodiratime": (.noDirectoryAccessTime, true),
        "rdiratime": (.noDirectoryAccessTime, false), "rrelatime": ([], true), "rnorelatime": ([], false),
        "rnoatime": (.noAccessTime, true), "ratime": (.noAccessTime, false), "rstrictatime": (.strictAccessTime, true),
        "rnostrictatime": (.strictAccessTime, false), "rnosymfollow": (.noSymbolicLinks, true),
        "rsymfollow": (.noSymbolicLinks, false),
    ]

    /// All names that the launcher understands, for `features`.
    static var names: [String] {
        let own = ["defaults", "tmpcopyup", "idmap", "ridmap"]
        return (Array(set.keys) + clear.keys + propagationTypes.keys + recursive.keys + own).sorted()
    }
}
