//! `canis`, killed before each of its writes in turn.

use crate::run::{Finished, run};
use crate::server::Site;
use std::path::PathBuf;
use std::process::Command;

/// What kills it.
pub struct KillAt {
    library: PathBuf,
}

impl KillAt {
    /// Built anew among the site's files.
    #[must_use]
    pub fn built(site: &Site) -> Self {
        let library = site.file("kill_at.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/kill_at.c");
        run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]), b"")
            .ok();
        KillAt { library }
    }

    /// Runs `canis` on the site's directory and kills it before write, sync or truncation number `call`.
    pub fn canis(&self, site: &Site, arguments: &str, call: usize) -> Finished {
        self.run(&mut site.local(arguments), call)
    }

    /// Runs a command and kills it before such a call, or one that sends something, number `call`.
    pub fn run(&self, command: &mut Command, call: usize) -> Finished {
        run(command.env("LD_PRELOAD", &self.library).env("KILL_AT", call.to_string()), b"")
    }

    /// Runs it again and again, killed one call later each time, until it ends well. `now` tells a number that grows when
    /// what was asked is done, and looks whether all is whole.
    ///
    /// # Panics
    /// If something is half done, or was never or always done when it was killed.
    pub fn at_every_call(&self, site: &Site, arguments: &str, now: impl Fn() -> i64) {
        let (mut before, mut stayed, mut moved) = (now(), 0, 0);
        for call in 1.. {
            let ended = self.canis(site, arguments, call);
            let now = now();
            if ended.code == 0 {
                assert!(now > before, "one that ended well did nothing");
                break;
            }
            assert_eq!(ended.code, -1, "{}", ended.stderr);
            stayed += usize::from(now == before);
            moved += usize::from(now > before);
            before = now;
        }
        assert!(stayed > 5 && moved > 0, "{stayed} kills before the commit and {moved} after it");
    }
}
