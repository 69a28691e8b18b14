//! Requests about backups, and their answers. What a backup's file holds is sealed; its bytes are no secret.

use crate::answer::answer;
use crate::message::request;
use std::borrow::Cow;

request! {
    /// Makes a backup of the store as it stands at one moment. It waits to be read, for ten minutes after each piece.
    CreateBackup => BackupMade {
        /// The root slot that is to open it, named as `root.remove` names slots; empty for a recipient.
        slot: Cow<'a, str>, default, |v| v.as_ref();
        /// The X25519 public key (SubjectPublicKeyInfo, DER) whose private half is to open it; empty for a slot.
        public_key: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

request! {
    /// Reads a piece of a backup that the same credential has made.
    ReadBackup => BackupPiece {
        /// Its id.
        backup: Cow<'a, str>, required, |v| v.as_ref();
        /// Where the piece begins.
        offset: u64, required, |v| *v;
    }
}

answer! {
    /// A backup that was made.
    BackupMade {
        /// Its id, while it waits to be read.
        backup: String, required, |v| v.as_str();
        /// The store that it is of.
        store: String, required, |v| v.as_str();
        /// How long its file is.
        bytes: u64, required, |v| *v;
        /// How many rows it holds.
        rows: u64, required, |v| *v;
        /// How many commits the store had seen, at least.
        sequence: u64, required, |v| *v;
        /// When it was made, in microseconds since 1970-01-01 UTC.
        made_at: i64, required, |v| *v;
        /// What opens it, for people.
        opens_by: String, required, |v| v.as_str();
    }
}

answer! {
    /// A piece of a backup.
    BackupPiece {
        /// The bytes, at most 1 MiB of them.
        data: Vec<u8>, required, |v| v.as_slice();
        /// Whether the file ends with them.
        last: bool, required, |v| *v;
    }
}
