// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// Settings that every Swift target shares. docs/architecture.md gives the reasons.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// Release builds put the functions that are executed side by side, so that fewer pages are mapped: what a start of the
// launcher needs, which halves them (scripts/record-launch-order), and what a running agent does (scripts/record-agent-order).
func layout(_ order: String) -> LinkerSetting {
    .unsafeFlags(
        [
            "-use-ld=lld", "-Xlinker", "--symbol-ordering-file=\(Context.packageDirectory)/Sources/\(order)",
            "-Xlinker",
            "--no-warn-symbol-ordering",
        ], .when(configuration: .release))
}

// The launcher and the monitor run without shared libraries: they start faster and hold less memory.
let launcherLinking: [LinkerSetting] = [
    .unsafeFlags(["-static-executable"]), layout("Container/swiftlet-launcher/launch-order.txt"),
]

// Release builds of the agent also pack their relocations, which glibc 2.36 and later read, and keep constants apart from what
// is written.
let agentLinking: [LinkerSetting] = [
    layout("Cluster/swiftlet/agent-order.txt"),
    .unsafeFlags(
        [
            "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs", "-Xlinker",
            "--script=\(Context.packageDirectory)/Sources/Cluster/swiftlet/constants.ld",
        ], .when(configuration: .release)),
]

// What is on no hot path is compiled for size: a board has little memory, and less of it stays in the page cache.
let small: [SwiftSetting] = [.unsafeFlags(["-Osize"], .when(configuration: .release))]
let hot: Set<String> = [
    "JSON", "LinuxSystem", "HTTPTransport", "KubeAPI", "KubeClient", "ControllerRuntime", "Storage", "StorageSQLite",
    "APIServer", "Launcher", "Monitor", "OCISpec",
]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioWebSocket: Target.Dependency = .product(name: "NIOWebSocket", package: "swift-nio")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let nioHTTP2: Target.Dependency = .product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioExtras: Target.Dependency = .product(name: "NIOExtras", package: "swift-nio-extras")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let recordedLogging: Target.Dependency = .product(name: "InMemoryLogging", package: "swift-log")
let collections: Target.Dependency = .product(name: "Collections", package: "swift-collections")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

/// A Swift library target in one of the architecture's groups.
func library(
    _ group: String, _ name: String, _ dependencies: [Target.Dependency] = [], settings: [SwiftSetting] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/\(group)/\(name)",
        swiftSettings: strict + (hot.contains(name) ? [] : small) + settings)
}

/// The test target of a library.
func tests(_ group: String, _ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies, path: "Tests/\(group)/\(name)Tests",
        swiftSettings: strict)
}

/// The header and linker flags of a C library of the operating system.
func systemLibrary(_ name: String, pkgConfig: String, apt: String) -> Target {
    .systemLibrary(
        name: name, path: "Sources/System/Libraries/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

let package = Package(
    name: "swiftlet",
    products: [
        .executable(name: "swiftlet", targets: ["swiftlet"]),
        .executable(name: "swiftlet-launcher", targets: ["swiftlet-launcher"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // MARK: System — knows nothing of containers or Kubernetes
        systemLibrary("COpenSSL", pkgConfig: "libcrypto", apt: "libssl-dev"),
        systemLibrary("CNFTables", pkgConfig: "libnftables", apt: "libnftables-dev"),
        systemLibrary("CSeccomp", pkgConfig: "libseccomp", apt: "libseccomp-dev"),
        systemLibrary("CSystemd", pkgConfig: "libsystemd", apt: "libsystemd-dev"),
        systemLibrary("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
        systemLibrary("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
        .target(name: "CLinux", path: "Sources/System/CLinux"),
        .target(name: "CNoLocaleData", path: "Sources/System/CNoLocaleData"),
        library("System", "LinuxSystem", ["CLinux"]),
        tests("System", "LinuxSystem"),
        library("System", "JSON"),
        tests("System", "JSON"),
        library("System", "Netlink", ["LinuxSystem", "CLinux"]),
        tests("System", "Netlink", ["LinuxSystem"]),
        library("System", "MulticastDNS", ["LinuxSystem", "Netlink", nioCore, nioPosix, logging]),
        tests("System", "MulticastDNS", ["LinuxSystem"]),
        library("System", "PKI", ["COpenSSL", "JSON", "LinuxSystem"]),
        tests("System", "PKI", ["JSON", "LinuxSystem"]),
        library("System", "Systemd", ["CSystemd", "LinuxSystem", logging]),
        tests("System", "Systemd", ["LinuxSystem", logging]),
        library("System", "SystemBus", ["CSystemd", "LinuxSystem"]),
        tests("System", "SystemBus", ["LinuxSystem"]),
        library("System", "HostChecks", ["JSON", "LinuxSystem"]),
        tests("System", "HostChecks", ["LinuxSystem"]),
        library(
            "System", "HTTPTransport",
            [
                "LinuxSystem", "PKI", nioCore, nioPosix, nioTLS, nioHTTP1, nioWebSocket, nioSSL, nioHTTP2, nioExtras,
                logging, collections,
            ]),
        tests("System", "HTTPTransport", ["LinuxSystem", "PKI", nioCore, nioPosix, nioHTTP1, nioSSL, logging]),
        .executableTarget(
            name: "http-exercise", dependencies: ["HTTPTransport", "PKI", nioCore, nioPosix, nioHTTP1, logging],
            path: "Tests/System/http-exercise", swiftSettings: strict),

        // MARK: Container — knows OCI, no Kubernetes
        library("Container", "OCISpec", ["JSON"]),
        tests("Container", "OCISpec"),
        library("Container", "Launcher", ["OCISpec", "JSON", "LinuxSystem", "CLinux", "CSeccomp"]),
        tests("Container", "Launcher", ["OCISpec", "JSON", "LinuxSystem"]),
        library("Container", "Monitor", ["JSON", "LinuxSystem", "CLinux"]),
        tests("Container", "Monitor", ["JSON", "LinuxSystem"]),
        .executableTarget(
            name: "swiftlet-launcher", dependencies: ["Launcher", "Monitor", "LinuxSystem"],
            path: "Sources/Container/swiftlet-launcher", exclude: ["launch-order.txt"], swiftSettings: strict,
            linkerSettings: launcherLinking),
        library(
            "Container", "ContainerImages",
            [
                "OCISpec", "JSON", "LinuxSystem", "CLinux", "PKI", "CZlib", "CZstd", nioCore, nioPosix, nioHTTP1,
                nioSSL,
                httpClient, logging,
            ]),
        tests(
            "Container", "ContainerImages",
            ["OCISpec", "JSON", "LinuxSystem", "PKI", "CZlib", "CZstd", nioCore, nioPosix, nioHTTP1, logging]),
        library("Container", "SandboxNetwork", ["Netlink", "LinuxSystem", "CLinux", "JSON", "CNFTables", logging]),
        tests("Container", "SandboxNetwork", ["Netlink", "LinuxSystem", "JSON", logging]),

        // MARK: API — objects and how to talk about them
        library("API", "KubeAPI", ["JSON"]),
        tests("API", "KubeAPI", ["JSON"]),
        library(
            "API", "KubeClient",
            [
                "KubeAPI", "JSON", "PKI", "LinuxSystem", "HTTPTransport", nioCore, nioHTTP1, nioSSL, nioPosix,
                httpClient, logging,
            ]),
        tests(
            "API", "KubeClient",
            ["KubeAPI", "JSON", "PKI", "LinuxSystem", "HTTPTransport", nioCore, nioHTTP1, nioPosix, logging]),
        library("API", "ControllerRuntime", ["KubeAPI", "KubeClient", "JSON", logging, collections]),
        tests("API", "ControllerRuntime", ["KubeAPI", "KubeClient", "JSON", logging, recordedLogging]),

        // MARK: Node — what runs on every machine
        library(
            "Node", "PodRuntime",
            [
                "OCISpec", "ContainerImages", "SandboxNetwork", "Monitor", "SystemBus", "LinuxSystem", "CLinux", "PKI",
                "JSON", nioCore, nioPosix, logging,
            ]),
        tests(
            "Node", "PodRuntime", ["OCISpec", "ContainerImages", "SandboxNetwork", "LinuxSystem", "JSON", logging]),
        library(
            "Node", "Kubelet",
            [
                "PodRuntime", "ContainerImages", "LinuxSystem", "KubeAPI", "KubeClient", "ControllerRuntime", "JSON",
                "HTTPTransport", "PKI", "CZlib", nioCore, nioPosix, nioHTTP1, nioHTTP2, nioSSL, logging, collections,
                httpClient,
            ]),
        tests(
            "Node", "Kubelet",
            [
                "KubeAPI", "KubeClient", "JSON", "PodRuntime", "ContainerImages", "SandboxNetwork", "HTTPTransport",
                "LinuxSystem", "ControllerRuntime", nioCore, nioPosix, nioHTTP1, logging, recordedLogging,
            ]),

        library(
            "Node", "PodNetwork",
            [
                "SandboxNetwork", "LinuxSystem", "KubeAPI", "KubeClient", "ControllerRuntime", "JSON", nioCore,
                nioPosix,
                logging,
            ]),
        tests("Node", "PodNetwork", ["SandboxNetwork", "LinuxSystem", "Netlink", "KubeAPI", "JSON", logging]),

        // MARK: ControlPlane
        library("ControlPlane", "Storage", [collections]),
        tests("ControlPlane", "Storage"),
        library("ControlPlane", "StorageSQLite", ["Storage", "LinuxSystem", grdb, logging]),
        tests("ControlPlane", "StorageSQLite", ["Storage", "StorageConformance", "storage-exercise", logging]),
        .target(
            name: "StorageConformance", dependencies: ["Storage"], path: "Tests/ControlPlane/StorageConformance",
            swiftSettings: strict),
        .executableTarget(
            name: "storage-exercise", dependencies: ["Storage", "StorageSQLite", logging],
            path: "Tests/ControlPlane/storage-exercise", swiftSettings: strict),
        library(
            "ControlPlane", "APIServer",
            [
                "Storage", "KubeAPI", "KubeClient", "JSON", "PKI", "HTTPTransport", "LinuxSystem", nioCore, nioPosix,
                nioHTTP1, nioSSL, logging, collections, yams,
            ]),
        tests(
            "ControlPlane", "APIServer",
            [
                "Storage", "StorageSQLite", "KubeAPI", "KubeClient", "JSON", "HTTPTransport", "PKI", "LinuxSystem",
                "ControllerRuntime", "Controllers", "APIServerFixture", nioCore, nioPosix, nioHTTP1, logging,
                recordedLogging,
            ]),
        .target(
            name: "APIServerFixture",
            dependencies: [
                "APIServer", "Controllers", "ControllerRuntime", "StorageSQLite", "KubeAPI", "KubeClient",
                "HTTPTransport", "PKI", "LinuxSystem", "JSON", nioCore, nioPosix, logging,
            ], path: "Tests/ControlPlane/APIServerFixture", swiftSettings: strict),
        library(
            "ControlPlane", "Scheduling", ["KubeAPI", "KubeClient", "ControllerRuntime", "JSON", logging, collections]),
        tests("ControlPlane", "Scheduling", ["KubeAPI", "KubeClient", "ControllerRuntime", "JSON", logging]),
        library(
            "ControlPlane", "Controllers",
            ["KubeAPI", "KubeClient", "ControllerRuntime", "JSON", "PKI", "LinuxSystem", logging, collections]),
        tests(
            "ControlPlane", "Controllers",
            [
                "KubeAPI", "KubeClient", "ControllerRuntime", "APIServer", "APIServerFixture", "Storage",
                "StorageSQLite", "JSON", "LinuxSystem",
            ]),

        // MARK: Cluster — composition and CLI
        library(
            "Cluster", "ClusterFormation",
            ["APIServer", "KubeAPI", "KubeClient", "HTTPTransport", "PKI", "JSON", "LinuxSystem", nioCore, logging]),
        tests(
            "Cluster", "ClusterFormation",
            [
                "APIServer", "KubeAPI", "KubeClient", "HTTPTransport", "Storage", "StorageSQLite", "PKI", "JSON",
                "LinuxSystem", nioCore, nioPosix, logging,
            ]),
        library(
            "Cluster", "SwiftletCore",
            [
                "ClusterFormation", "Kubelet", "PodRuntime", "PodNetwork", "ContainerImages", "SandboxNetwork",
                "Storage",
                "StorageSQLite", "APIServer", "Scheduling", "Controllers", "KubeAPI", "KubeClient",
                "ControllerRuntime", "HTTPTransport", "PKI", "Systemd", "SystemBus", "LinuxSystem", "JSON", nioCore,
                nioPosix, "HostChecks", "Monitor",
                logging, lifecycle, unixSignals, yams, "Netlink", "MulticastDNS",
            ]),
        tests(
            "Cluster", "SwiftletCore",
            [
                "HostChecks", "ClusterFormation", "APIServer", "Controllers", "ControllerRuntime", "KubeAPI",
                "KubeClient", "HTTPTransport", "PKI", "StorageSQLite", "SandboxNetwork", "JSON", "LinuxSystem", nioCore,
                nioPosix, logging,
            ]),
        .executableTarget(
            name: "swiftlet",
            dependencies: [
                "SwiftletCore", "ClusterFormation", "ContainerImages", "KubeAPI", "KubeClient", "LinuxSystem", "JSON",
                "HostChecks", "PKI", "Systemd", argumentParser,
                logging, "CNoLocaleData",
            ],
            path: "Sources/Cluster/swiftlet", exclude: ["agent-order.txt", "constants.ld"],
            swiftSettings: strict + small,
            linkerSettings: agentLinking),
    ]
)
