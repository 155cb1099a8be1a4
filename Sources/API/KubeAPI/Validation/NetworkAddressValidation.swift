// SPDX-License-Identifier: Apache-2.0

import JSON

/// Rules for IPAddresses and ServiceCIDRs (`pkg/apis/networking/validation`).
extension Validator {
    mutating func ipAddress(_ object: JSON) {
        let path = FieldPath("spec").child("parentRef")
        guard let parent = object["spec"]?.value("parentRef") else {
            add(.required(path))
            return
        }
        optionalText(parent, "group", path, NameSyntax.dns1123Subdomain)
        text(parent, "resource", path, NameSyntax.pathSegment)
        text(parent, "name", path, NameSyntax.pathSegment)
        optionalText(parent, "namespace", path, NameSyntax.pathSegment)
    }

    mutating func serviceRange(_ object: JSON) {
        let path = FieldPath("spec").child("cidrs")
        let ranges = object["spec"]?.list("cidrs") ?? []
        if ranges.isEmpty { add(.required(path, "at least one CIDR required")) }
        if ranges.count > 2 { add(.invalid(path, .array(ranges), "may only hold up to 2 values")) }
        for (index, range) in ranges.enumerated() where !AddressSyntax.isRange(range.string ?? "") {
            let reason = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            add(.invalid(path.index(index), range, reason))
        }
        let families = Set(ranges.map { $0.string?.contains(":") ?? false })
        if ranges.count == 2, families.count == 1 {
            let reason =
                "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
            add(.invalid(path, .array(ranges), reason))
        }
    }

    /// A range of a second family may be added; nothing else may change.
    mutating func serviceRangeUpdate(_ new: JSON, _ old: JSON) {
        let path = FieldPath("spec").child("cidrs")
        let before = old["spec"]?.list("cidrs") ?? []
        let after = new["spec"]?.list("cidrs") ?? []
        if before.count == 1, after.count == 2 {
            unchanged(after.first, before.first, path.index(0))
        } else if before.count == after.count {
            for index in before.indices { unchanged(after[index], before[index], path.index(index)) }
        } else {
            unchanged(.array(after), .array(before), path)
        }
    }
}
