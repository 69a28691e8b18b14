//! Copies of the log, for programs that collect lines.

/// Who gets every line once more, after it is on the disk.
pub trait Copies: Send + Sync {
    /// Takes whole lines. Must not wait: answers do.
    fn take(&self, lines: &[u8]);

    /// Why lines do not get where they are sent; empty if they do.
    fn why(&self) -> String;
}
