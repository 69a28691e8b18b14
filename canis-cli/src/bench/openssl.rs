//! What `openssl speed` says of the same operations.

use super::operation::Op;
use super::plan::Time;
use canis_proto::{Error, Result};
use std::process::Command;

/// How to ask, and which of the numbers in the answer's last line is meant.
struct Question {
    args: &'static [&'static str],
    answer: Answer,
}

#[derive(Clone, Copy)]
enum Answer {
    /// The last but one: signatures a second.
    Sign,
    /// The last: verifications a second.
    Verify,
    /// The last: bytes a second, in pieces of this size.
    Bytes(f64),
}

fn question(op: Op) -> Option<Question> {
    let (args, answer): (&[&str], Answer) = match op {
        Op::Rsa2048Sign => (&["rsa2048"], Answer::Sign),
        Op::Rsa4096Sign => (&["rsa4096"], Answer::Sign),
        Op::P256Sign => (&["ecdsap256"], Answer::Sign),
        Op::P256Verify => (&["ecdsap256"], Answer::Verify),
        Op::P384Sign => (&["ecdsap384"], Answer::Sign),
        Op::Ed25519Sign => (&["ed25519"], Answer::Sign),
        Op::Ed25519Verify => (&["ed25519"], Answer::Verify),
        Op::Gcm1K => (&["-bytes", "1024", "-evp", "aes-256-gcm"], Answer::Bytes(1024.0)),
        Op::Gcm1M => (&["-bytes", "1048576", "-evp", "aes-256-gcm"], Answer::Bytes(1_048_576.0)),
        Op::Sha256Of1K => (&["-bytes", "1024", "-evp", "sha256"], Answer::Bytes(1024.0)),
        Op::Sha256Of16K => (&["-bytes", "16384", "-evp", "sha256"], Answer::Bytes(16384.0)),
        Op::Random => (&["-bytes", "32", "rand"], Answer::Bytes(32.0)),
        _ => return None,
    };
    Some(Question { args, answer })
}

/// Operations a second on one thread; `None` if openssl does not measure this.
pub(super) fn speed(op: Op, time: Time) -> Result<Option<f64>> {
    let Some(question) = question(op) else { return Ok(None) };
    let mut command = Command::new("openssl");
    command.args(["speed", "-mr", "-seconds", "1"]);
    if time == Time::Clock {
        command.arg("-elapsed");
    }
    command.args(question.args);
    let output = command.output().map_err(|e| Error::invalid(format!("cannot start openssl: {e}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::invalid(format!("openssl speed: {}", said.trim())));
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout), question.answer))
}

/// The version of openssl.
pub(super) fn version() -> Result<String> {
    let output = Command::new("openssl").arg("version").output();
    let output = output.map_err(|e| Error::invalid(format!("cannot start openssl: {e}")))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn parse(shown: &str, answer: Answer) -> Option<f64> {
    let line = shown.lines().rfind(|line| line.starts_with("+F"))?;
    let mut numbers = line.rsplit(':').map(str::parse::<f64>);
    let last = numbers.next()?.ok()?;
    match answer {
        Answer::Verify => Some(last),
        Answer::Sign => numbers.next()?.ok(),
        Answer::Bytes(piece) => Some(last / piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let shown = "+H:1024\n+F:25:AES-256-GCM:2109468961.62\n";
        assert_eq!(parse(shown, Answer::Bytes(1024.0)).map(f64::round), Some(2_060_028.0));
        let shown = "+F6:0:253:Ed25519:31929.000000:12083.000000\n";
        assert_eq!(parse(shown, Answer::Sign), Some(31929.0));
        assert_eq!(parse(shown, Answer::Verify), Some(12083.0));
        assert_eq!(parse("nothing", Answer::Sign), None);
    }
}
