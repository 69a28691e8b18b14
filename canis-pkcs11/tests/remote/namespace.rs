//! Another machine: a network namespace with a cable to this one.

use canis_tests::run;
use std::process::Command;

/// A network namespace; gone with the value.
pub(crate) struct Namespace {
    name: String,
    /// This machine's address at the cable.
    pub(crate) here: String,
    /// The other machine's.
    pub(crate) there: String,
}

impl Namespace {
    /// One of its own for this process, or none, with the reason on stderr, where the kernel refuses.
    pub(crate) fn new() -> Option<Self> {
        let number = std::process::id();
        // 16,384 networks of four addresses, in a part of 10.0.0.0/8 that few use.
        let (third, fourth) = (number >> 6 & 0xff, (number & 0x3f) << 2);
        let address = |last| format!("10.213.{third}.{}", fourth + last);
        let space = Namespace { name: format!("canis-{number}"), here: address(1), there: address(2) };
        let (ours, theirs) = (format!("cn{number}"), format!("cp{number}"));
        if let Err(refused) = space.try_ip(&["netns", "add", &space.name]) {
            eprintln!("skipped: this machine allows no network namespace: {refused}");
            return None;
        }
        space.ip(&["link", "add", &ours, "type", "veth", "peer", "name", &theirs, "netns", &space.name]);
        space.ip(&["addr", "add", &format!("{}/30", space.here), "dev", &ours]);
        space.ip(&["link", "set", &ours, "up"]);
        space.ip(&["-n", &space.name, "addr", "add", &format!("{}/30", space.there), "dev", &theirs]);
        space.ip(&["-n", &space.name, "link", "set", &theirs, "up"]);
        space.ip(&["-n", &space.name, "link", "set", "lo", "up"]);
        Some(space)
    }

    /// The same program in there.
    pub(crate) fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            inside.current_dir(directory);
        }
        inside
    }

    fn ip(&self, arguments: &[&str]) {
        self.try_ip(arguments).unwrap_or_else(|refused| panic!("ip {arguments:?}: {refused}"));
    }

    fn try_ip(&self, arguments: &[&str]) -> Result<(), String> {
        let finished = run(Command::new("ip").args(arguments), b"");
        if finished.code == 0 { Ok(()) } else { Err(finished.stderr) }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The cable goes with it.
        let _ = self.try_ip(&["netns", "del", &self.name]);
    }
}
