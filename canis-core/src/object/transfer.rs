//! The operations by which key material comes in, goes out and is copied.

use super::Content;
use crate::crypto::private_parts::PrivateParts;
use canis_proto::{Id, Operation, OperationId};

operation! {
    /// Makes a private or secret key from material that comes from outside, and the object that shows it.
    ImportObject => Id {
        /// The material.
        parts: PrivateParts,
        /// The session it lives in; `None` for a token object.
        session: Option<u64>,
        /// Its attributes; what is computed is filled in. A public half that is given must be the right one.
        content: Content,
    }
}
operation! {
    /// Gives a private or secret key's material in plain, if it may leave so.
    ExportObject => PrivateParts {
        /// The key's object.
        object: Id,
        /// Whether only the lengths of its parts are asked for, which uses up no approval.
        measure: bool,
    }
}
operation! {
    /// Copies an object. A session's copy of a token's key has no material of its own: whatever becomes of the key
    /// becomes of the copy.
    CopyObject => Id {
        /// Which one.
        object: Id,
        /// The session the copy lives in; `None` for a token object.
        session: Option<u64>,
        /// All the copy's attributes as they shall be; what is computed is filled in.
        content: Content,
    }
}
