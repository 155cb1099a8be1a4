// SPDX-License-Identifier: Apache-2.0

import JSON

/// The `pod-template-hash` that names a Deployment's ReplicaSets.
///
/// As upstream: FNV-1a of the template and the collision count, in an alphabet without vowels so that no words arise. The
/// value is only compared with itself, so the bytes that are hashed are our own: the template with sorted keys.
enum TemplateHash {
    static func hash(of template: JSON, collisionCount: Int) -> String {
        var hash: UInt32 = 2_166_136_261
        func feed(_ bytes: [UInt8]) {
            for byte in bytes { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        }
        feed(sorted(template).serialized())
        if collisionCount > 0 { feed(Array(String(collisionCount).utf8)) }
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
        return String(String(hash).utf8.map { alphabet[Int($0) % alphabet.count] })
    }

    private static func sorted(_ json: JSON) -> JSON {
        switch json {
        case .object(let object):
            var result = JSONObject(object.map { (key: $0.key, value: sorted($0.value)) })
            result.sort()
            return .object(result)
        case .array(let elements): return .array(elements.map(sorted))
        default: return json
        }
    }
}
