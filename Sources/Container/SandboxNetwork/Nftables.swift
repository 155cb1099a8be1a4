// SPDX-License-Identifier: Apache-2.0

import CNFTables
import JSON

/// Runs nftables commands in JSON form (libnftables-json(5)) as one transaction: all of them take effect or none.
enum Nftables {
    static func apply(_ commands: [JSON], _ operation: String, _ subject: String) throws(SandboxNetworkError) {
        do throws(Refusal) {
            _ = try run(commands)
        } catch {
            throw SandboxNetworkError(.system, operation, subject, error.reason)
        }
    }

    /// What a table of the family inet holds, one text for each object and element: to be compared with another listing, for
    /// objects have numbers that are never given twice. Empty where there is no such table.
    static func listing(table: String) -> Set<String> {
        let command: JSON = ["list": ["table": ["family": "inet", "name": .string(table)]]]
        // One that cannot be listed, and an answer that is no JSON, count as none: the rules are set again then.
        guard let text = try? run([command]), let objects = (try? JSON.parse(text))?["nftables"]?.elements else {
            return []
        }
        var listing: Set<String> = []
        for object in objects where object["metainfo"] == nil {
            guard let (kind, value) = object.members.first else { continue }
            var whole = value
            // Elements have no order.
            whole["elem"] = nil
            listing.insert(whole.text())
            for element in value["elem"]?.elements ?? [] {
                listing.insert("\(kind) \(value["name"]?.string ?? "") \(element.text())")
            }
        }
        return listing
    }

    private struct Refusal: Error {
        let reason: String
    }

    /// The context lives for one transaction only, because libnftables caches tables and names in it.
    ///
    /// - Returns: the answer.
    private static func run(_ commands: [JSON]) throws(Refusal) -> String {
        guard let context = nft_ctx_new(CUnsignedInt(NFT_CTX_DEFAULT)) else {
            throw Refusal(reason: "libnftables has no memory")
        }
        defer { nft_ctx_free(context) }
        nft_ctx_output_set_flags(context, CUnsignedInt(NFT_CTX_OUTPUT_JSON))
        // Without buffers it would write to our standard streams.
        nft_ctx_buffer_output(context)
        nft_ctx_buffer_error(context)
        let text = (["nftables": .array(commands)] as JSON).text()
        guard nft_run_cmd_from_buffer(context, text) == 0 else {
            let reason = nft_ctx_get_error_buffer(context).map { String(cString: $0) } ?? ""
            let line = reason.split(separator: "\n").first.map(String.init) ?? "no reason given"
            throw Refusal(reason: "nftables: \(line)")
        }
        return nft_ctx_get_output_buffer(context).map { String(cString: $0) } ?? ""
    }
}
