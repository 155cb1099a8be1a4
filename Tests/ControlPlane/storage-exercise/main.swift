// SPDX-License-Identifier: Apache-2.0

// Works on a store from a process of its own, for the crash tests and for measurements.

import Foundation
import Logging
import Storage
import StorageSQLite

/// Prints what was acknowledged, at once: a kill must not lose it.
func tell(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

func open(_ directory: String) throws -> SQLiteStorage {
    let configuration = SQLiteStorage.Configuration(
        location: .directory(directory), volatilePrefixes: ["/volatile/"])
    return try SQLiteStorage(configuration, logger: Logger(label: "store"))
}

/// Sixteen writers that create, change and delete until the process is killed.
func writeForEver(_ store: SQLiteStorage) async throws {
    tell("open \(store.snapshot().revision)")
    let run = UUID().uuidString.prefix(8)
    try await withThrowingTaskGroup(of: Void.self) { group in
        for writer in 0..<16 {
            group.addTask {
                for number in 0... {
                    let area = writer == 0 ? "/volatile" : "/durable"
                    let key = "\(area)/\(run)/\(writer)/\(number)"
                    let bytes = [UInt8](repeating: 0x61, count: 100 + number * 37 % 5000)
                    let value = try await store.commit(
                        Mutation(key: key, condition: .absent, change: .put(bytes, revisionOffset: nil)))
                    tell("put \(key) \(value.revision)")
                    if number % 5 == 4 {
                        let gone = try await store.commit(
                            Mutation(
                                key: key, condition: .revision(value.revision),
                                change: .delete(last: bytes, revisionOffset: nil)))
                        tell("delete \(key) \(gone.revision)")
                    }
                }
            }
        }
        try await group.waitForAll()
    }
}

/// Creates of 1 KB by sixteen writers: the rate and the latencies of acknowledged writes.
func measure(_ store: SQLiteStorage, writes: Int) async throws {
    let clock = ContinuousClock()
    let start = clock.now
    let latencies = try await withThrowingTaskGroup(of: [Duration].self) { group in
        for writer in 0..<16 {
            group.addTask {
                var latencies: [Duration] = []
                for number in 0..<writes / 16 {
                    let bytes = [UInt8](repeating: 0x61, count: 1_300)
                    let begin = clock.now
                    _ = try await store.commit(
                        Mutation(
                            key: "/bench/\(start)/\(writer)/\(number)", condition: .absent,
                            change: .put(bytes, revisionOffset: 10)))
                    latencies.append(clock.now - begin)
                }
                return latencies
            }
        }
        return try await group.reduce(into: []) { $0 += $1 }.sorted()
    }
    let seconds = (clock.now - start) / .seconds(1)
    tell("creates/s \(Int(Double(latencies.count) / seconds))")
    tell("p50 \(latencies[latencies.count / 2] / .milliseconds(1)) ms")
    tell("p99 \(latencies[latencies.count * 99 / 100] / .milliseconds(1)) ms")
}

/// How much memory so many objects of 2 KB take.
func fill(_ store: SQLiteStorage, objects: Int) async throws {
    func memory() -> String {
        // Without /proc there is nothing to tell.
        let text = (try? String(contentsOfFile: "/proc/self/smaps_rollup", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").first { $0.hasPrefix("Pss:") }.map(String.init) ?? ""
    }
    tell("before \(memory())")
    try await withThrowingTaskGroup(of: Void.self) { group in
        for writer in 0..<16 {
            group.addTask {
                for number in 0..<objects / 16 {
                    let bytes = [UInt8](repeating: 0x61, count: 2_400)
                    _ = try await store.commit(
                        Mutation(
                            key: "/registry/configmaps/bench/\(writer)-\(number)", condition: .absent,
                            change: .put(bytes, revisionOffset: 10)))
                }
            }
        }
        try await group.waitForAll()
    }
    tell("after \(memory())")
}

let arguments = CommandLine.arguments
guard arguments.count >= 3 else {
    tell("usage: storage-exercise write|measure|fill DIRECTORY [COUNT]")
    exit(2)
}
let store = try open(arguments[2])
let count = arguments.count > 3 ? Int(arguments[3]) ?? 0 : 16_000
switch arguments[1] {
case "write": try await writeForEver(store)
case "measure": try await measure(store, writes: count)
case "fill": try await fill(store, objects: count)
default: exit(2)
}
await store.close()
