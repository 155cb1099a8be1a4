// SPDX-License-Identifier: Apache-2.0

/// The tables, as steps that are only ever added to.
enum Schema {
    /// `PRAGMA application_id`, so that file(1) and we ourselves know a store: "Swft".
    static let applicationID = 0x5377_6674

    /// Step n makes version n + 1 (`PRAGMA user_version`) of version n. Never change one that has been released.
    ///
    /// `object` has no index on `key`: the keys are all in memory, and an index would be another page to write for
    /// each new key. A row's number is the revision that created its key, which no other key can have. `floor` is a
    /// revision that the store must not fall below when it is opened: that of the newest deletion, or the
    /// end of the range reserved for volatile keys.
    static let steps = [
        """
        CREATE TABLE object (
            created INTEGER PRIMARY KEY CHECK (created > 0),
            key TEXT NOT NULL,
            revision INTEGER NOT NULL CHECK (revision >= created),
            value BLOB NOT NULL
        ) STRICT;
        CREATE TABLE meta (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            floor INTEGER NOT NULL CHECK (floor >= 0)
        ) STRICT;
        INSERT INTO meta (id, floor) VALUES (1, 0);
        """
    ]
}
