// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// What links of every kind can be given at their creation or later; what is nil stays as it is.
package struct LinkSettings: Hashable, Sendable {
    package var mtu: UInt32?
    package var hardwareAddress: HardwareAddress?
    /// The index of the bridge to become a port of; 0 leaves the bridge.
    package var master: Int32?
    package var isUp: Bool?
    /// A new name; the link must be down on kernels before 6.2.
    package var name: String?
    /// An open descriptor of the network namespace to move to.
    package var namespaceDescriptor: Int32?

    package init(
        mtu: UInt32? = nil, hardwareAddress: HardwareAddress? = nil, master: Int32? = nil, isUp: Bool? = nil,
        name: String? = nil, namespaceDescriptor: Int32? = nil
    ) {
        self.mtu = mtu
        self.hardwareAddress = hardwareAddress
        self.master = master
        self.isUp = isUp
        self.name = name
        self.namespaceDescriptor = namespaceDescriptor
    }
}

extension Message {
    /// Appends an `ifinfomsg`.
    mutating func addLinkHeader(family: UInt8 = 0, index: Int32 = 0, isUp: Bool? = nil) {
        add(family)
        add(UInt8(0))
        add(UInt16(0))
        add(index)
        add(isUp == true ? LinkFlag.up : 0)
        add(isUp == nil ? UInt32(0) : LinkFlag.up)
    }

    /// Appends the settings that are attributes; `isUp` belongs to the header.
    mutating func add(_ settings: LinkSettings) {
        if let name = settings.name { attribute(LinkAttribute.name, text: name) }
        if let mtu = settings.mtu { attribute(LinkAttribute.mtu, mtu) }
        if let address = settings.hardwareAddress { attribute(LinkAttribute.address, address.bytes) }
        if let master = settings.master { attribute(LinkAttribute.master, master) }
        if let descriptor = settings.namespaceDescriptor { attribute(LinkAttribute.namespaceDescriptor, descriptor) }
    }

    /// A request to create a link of a kind.
    static func creation(
        of kind: String, _ settings: LinkSettings, data: (inout Message) -> Void = { _ in }
    ) -> Message {
        var message = Message(.newLink, [.create, .exclusive])
        message.addLinkHeader(isUp: settings.isUp)
        message.add(settings)
        message.nested(LinkAttribute.info) { info in
            info.attribute(LinkAttribute.Info.kind, text: kind)
            info.nested(LinkAttribute.Info.data, data)
        }
        return message
    }
}

extension RouteSession {
    /// The longest name of a link.
    package static var nameLimit: Int { 15 }

    /// All links of the namespace.
    package func links() throws -> [Link] {
        var message = Message(.getLink, .dump)
        message.addLinkHeader()
        return try request(message, "list", "links").compactMap(Link.init)
    }

    /// The link of a name; nil where there is none.
    package func link(named name: String) throws -> Link? {
        var message = Message(.getLink)
        message.addLinkHeader()
        message.attribute(LinkAttribute.name, text: name)
        return try findLink(message, name)
    }

    /// The link of an index; nil where there is none.
    package func link(index: Int32) throws -> Link? {
        var message = Message(.getLink)
        message.addLinkHeader(index: index)
        return try findLink(message, "number \(index)")
    }

    private func findLink(_ message: Message, _ subject: String) throws -> Link? {
        do {
            return try request(message, "find the link", subject).lazy.compactMap(Link.init).first
        } catch let error as NetlinkError where error.isMissing {
            return nil
        }
    }

    /// Creates a bridge without spanning tree, whose ports forward at once.
    ///
    /// - Throws: `NetlinkError` EEXIST where the name is taken.
    package func createBridge(_ settings: LinkSettings) throws {
        let message = Message.creation(of: "bridge", settings) { data in
            data.attribute(LinkAttribute.Bridge.forwardDelay, UInt32(0))
            data.attribute(LinkAttribute.Bridge.spanningTree, UInt32(0))
        }
        try request(message, "create the bridge", settings.name ?? "")
    }

    /// Creates two links that are joined, each with its settings; the peer may be born in another namespace.
    ///
    /// The peer is always born down, because the kernel cannot set it up before the two are joined (ENOTCONN).
    package func createVirtualEthernet(_ settings: LinkSettings, peer: LinkSettings) throws {
        let message = Message.creation(of: "veth", settings) { data in
            data.nested(LinkAttribute.VirtualEthernet.peer) { other in
                other.addLinkHeader()
                other.add(peer)
            }
        }
        try request(message, "create the veth pair", "\(settings.name ?? "") and \(peer.name ?? "")")
    }

    /// Creates a VXLAN link that learns nothing: its forwarding entries are set (``setForwarding(_:)``).
    ///
    /// - Parameter local: The source of its packets; nil takes the one of the route to each remote machine.
    package func createVXLAN(
        _ settings: LinkSettings, identifier: UInt32, local: IPAddress?, port: UInt16 = 4789, over link: Int32? = nil
    ) throws {
        let message = Message.creation(of: "vxlan", settings) { data in
            data.attribute(LinkAttribute.VXLAN.identifier, identifier)
            if let local {
                data.attribute(local.isV4 ? LinkAttribute.VXLAN.localV4 : LinkAttribute.VXLAN.localV6, local.bytes)
            }
            if let link { data.attribute(LinkAttribute.VXLAN.link, link) }
            data.attribute(LinkAttribute.VXLAN.learning, UInt8(0))
            data.attribute(LinkAttribute.VXLAN.port, port.bigEndian)
        }
        try request(message, "create the VXLAN link", settings.name ?? "")
    }

    /// Changes a link.
    package func change(link index: Int32, _ settings: LinkSettings) throws {
        var message = Message(.newLink)
        message.addLinkHeader(index: index, isUp: settings.isUp)
        message.add(settings)
        try request(message, "change the link", "number \(index)")
    }

    /// Changes how a bridge treats one of its ports (bridge(8)).
    ///
    /// - Parameters:
    ///   - hairpin: whether frames may leave by the port by which they came.
    ///   - isolated: whether frames to and from other isolated ports are dropped.
    package func change(port index: Int32, hairpin: Bool? = nil, isolated: Bool? = nil) throws {
        var message = Message(.setLink)
        // AF_BRIDGE
        message.addLinkHeader(family: 7, index: index)
        message.nested(LinkAttribute.portInformation) { port in
            if let hairpin { port.attribute(LinkAttribute.BridgePort.hairpin, UInt8(hairpin ? 1 : 0)) }
            if let isolated { port.attribute(LinkAttribute.BridgePort.isolated, UInt8(isolated ? 1 : 0)) }
        }
        try request(message, "change the bridge port", "number \(index)")
    }

    /// Deletes a link; false where there was none.
    @discardableResult
    package func deleteLink(index: Int32) throws -> Bool {
        var message = Message(.deleteLink)
        message.addLinkHeader(index: index)
        return try deleting { try request(message, "delete the link", "number \(index)") }
    }

    /// Deletes the link of a name; false where there was none.
    @discardableResult
    package func deleteLink(named name: String) throws -> Bool {
        var message = Message(.deleteLink)
        message.addLinkHeader()
        message.attribute(LinkAttribute.name, text: name)
        return try deleting { try request(message, "delete the link", name) }
    }

    /// Runs a deletion; false if the object was missing.
    func deleting(_ body: () throws -> [Reply]) throws -> Bool {
        do {
            _ = try body()
            return true
        } catch let error as NetlinkError where error.isMissing {
            return false
        }
    }
}
