//! The one joint of the format: who a file is for, and who opens it.

use super::{FileKey, Stanza};
use canis_proto::Result;

/// Wraps file keys, so that a holder of the other half opens the file.
pub trait Recipient {
    /// The stanza of one file.
    ///
    /// # Errors
    /// As the kind of recipient says.
    fn wrap(&self, key: &FileKey) -> Result<Stanza>;

    /// The stanzas of several files, in their order; where a server wraps, in few requests.
    ///
    /// # Errors
    /// As [`Recipient::wrap`]; nothing is wrapped then.
    fn wrap_all(&self, keys: &[FileKey]) -> Result<Vec<Stanza>> {
        keys.iter().map(|key| self.wrap(key)).collect()
    }
}

/// Opens what was wrapped for it.
pub trait Identity {
    /// The file key, if one of the stanzas is for this identity; all others are none of its business.
    ///
    /// # Errors
    /// `unsupported_format` for a stanza of its kind that is malformed; as the kind of identity says.
    fn unwrap(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>>;
}
