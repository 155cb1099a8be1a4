// SPDX-License-Identifier: Apache-2.0

import CNFTables
import JSON

/// Runs nftables commands in JSON form (libnftables-json(5)) as one transaction: all of them take effect or none.
enum Nftables {
    /// The context lives for one transaction only, because libnftables caches tables and names in it.
    static func apply(_ commands: [JSON], _ operation: String, _ subject: String) throws(SandboxNetworkError) {
        guard let context = nft_ctx_new(CUnsignedInt(NFT_CTX_DEFAULT)) else {
            throw SandboxNetworkError(.system, operation, subject, "libnftables has no memory")
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
            throw SandboxNetworkError(.system, operation, subject, "nftables: \(line)")
        }
    }
}
