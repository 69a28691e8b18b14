//! Takes lines to the disk that are with the kernel only, and tells the store how far the log has got: for a thread of its
//! own, which no answer waits for.

use super::head::Head;
use super::health::Part;
use super::log::Log;
use super::writer::failed;
use canis_proto::Result;
use std::time::Duration;

/// How long a line may be with the kernel only.
const EVERY: Duration = Duration::from_millis(100);

impl Log {
    /// Does so until [`Log::stop`]. For a thread of its own, beside that of [`Log::run`].
    pub fn keep(&self) {
        let mut kept = 0;
        loop {
            let stopping = self.waited_for_stop(EVERY);
            let done = self.keep_once(&mut kept);
            self.note(Part::Disk, &done);
            if stopping {
                return;
            }
        }
    }

    fn keep_once(&self, kept: &mut u64) -> Result<()> {
        let (mark, due) = {
            let writer = self.writer();
            let due = writer.is_due(self.now());
            if writer.lines() == *kept && !due {
                return Ok(());
            }
            (writer.mark()?, due)
        };
        let Some(mark) = mark else { return Ok(()) };
        mark.file.sync_data().map_err(|error| failed(&mark.path, &error))?;
        *kept = mark.chain.seq;
        // Only what is on the disk: else a power cut would look as if somebody had removed lines.
        if let Some(keys) = self.keys().filter(|_| due) {
            let host = self.place.store.host();
            let row = Head::of(&mark.chain, mark.files, false, host).row(keys, self.place.writer)?;
            match self.place.store.seal_audit(&row, &mark.written) {
                Ok(()) => self.writer().told(&mark, self.now()),
                // The lines stand in the file, and uses go on without the store for a while.
                Err(_) if self.writer().untold_within(self.place.store.grace(), self.now()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
