// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import APIServer

struct ObjectNamesTests {
    @Test func identifiersAreRandomUUIDs() throws {
        for _ in 0..<200 {
            let text = ObjectNames.uid()
            let uuid = try #require(UUID(uuidString: text))
            #expect(uuid.uuidString.lowercased() == text)
            // RFC 9562: version 4, variant 10.
            #expect(uuid.uuid.6 >> 4 == 4 && uuid.uuid.8 >> 6 == 2, "\(text)")
        }
        #expect(Set((0..<200).map { _ in ObjectNames.uid() }).count == 200)
    }

    @Test func generatedNamesKeepTheirLength() {
        let name = ObjectNames.generate(from: String(repeating: "a", count: 300))
        #expect(name.utf8.count == 63)
        #expect(ObjectNames.generate(from: "web-").hasPrefix("web-"))
    }
}
