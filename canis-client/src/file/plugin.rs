//! What age says to its plugins (<https://c2sp.org/age-plugin>), answered with keys that a server keeps: `recipient-v1` wraps file
//! keys, `identity-v1` opens them. In a first phase age tells all it wants; in a second the plugin tells what came of it, and age
//! acknowledges each.

use super::plugin_text::{KeyText, parse_identity};
use super::stanza::{START, Stanza};
use super::writer::unwritten;
use super::{FileKey, Identity, KeyIdentity, KeyRecipient, Recipient, malformed};
use crate::Shared;
use canis_proto::{Error, Result, quote};
use std::collections::BTreeMap;
use std::io::{BufRead, Read, Write};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest line that age may send.
const LONGEST: u64 = 1 << 20;

/// How a server is reached, if one is needed.
pub type Reach<'a> = &'a dyn Fn() -> Result<Arc<Shared>>;

/// Runs a state machine to its end: `recipient-v1` or `identity-v1`. What goes wrong with keys is told to age.
///
/// # Errors
/// `operation_not_supported` for another machine; `unsupported_format` or `invalid_argument` if age breaks off.
pub fn run(machine: &str, input: impl BufRead, output: impl Write, reach: Reach<'_>) -> Result<()> {
    let mut age = Age { input, output };
    match machine {
        "recipient-v1" => wrap(&mut age, reach),
        "identity-v1" => open(&mut age, reach),
        other => Err(Error::new(
            canis_proto::ErrorCode::OperationNotSupported,
            format!("`{}` is no state machine that this plugin knows", quote(other)),
        )),
    }
}

/// age, at the other end.
struct Age<R, W> {
    input: R,
    output: W,
}

/// What is wrong, and with what: `recipient 0`, `identity 1`, `stanza 0 2`, `internal`.
struct Fault {
    with: String,
    error: Error,
}

impl Fault {
    fn new(with: String) -> impl FnOnce(Error) -> Fault {
        |error| Fault { with, error }
    }
}

impl<R: BufRead, W: Write> Age<R, W> {
    fn line(&mut self) -> Result<Zeroizing<String>> {
        let mut line = Zeroizing::new(String::new());
        let read = self.input.by_ref().take(LONGEST).read_line(&mut line);
        read.map_err(|error| Error::invalid(format!("age cannot be understood: {error}")))?;
        match line.pop() {
            Some('\n') => Ok(line),
            _ => Err(malformed("age broke off")),
        }
    }

    fn hear(&mut self) -> Result<Stanza> {
        let first = self.line()?;
        if !first.starts_with(START) {
            return Err(malformed("age said no command"));
        }
        Stanza::read(&first, || self.line())
    }

    /// All that age wants.
    fn wishes(&mut self) -> Result<Vec<Stanza>> {
        let mut wishes = Vec::new();
        loop {
            match self.hear()? {
                done if done.kind == "done" => return Ok(wishes),
                wish => wishes.push(wish),
            }
        }
    }

    fn say(&mut self, stanza: &Stanza) -> Result<()> {
        let said = self.output.write_all(stanza.to_text().as_bytes()).and_then(|()| self.output.flush());
        said.map_err(unwritten)
    }

    /// Says something, and waits until age has taken note.
    fn tell(&mut self, stanza: &Stanza) -> Result<()> {
        self.say(stanza)?;
        match self.hear()?.kind.as_str() {
            "ok" => Ok(()),
            _ => Err(Error::invalid("age takes no note of what the plugin says")),
        }
    }

    fn complain(&mut self, faults: &[Fault]) -> Result<()> {
        for fault in faults {
            let with: Vec<_> = fault.with.split(' ').collect();
            self.tell(&Stanza::new("error", &with).with_body(fault.error.to_string().into_bytes()))?;
        }
        Ok(())
    }
}

/// A file key, or a key of the server, as age names it.
fn argument(stanza: &Stanza) -> &str {
    stanza.arguments.first().map_or("", String::as_str)
}

fn wrap(age: &mut Age<impl BufRead, impl Write>, reach: Reach<'_>) -> Result<()> {
    let wishes = age.wishes()?;
    match stanzas(&wishes, reach) {
        // Half of what age wants is nothing that it wants.
        Err(faults) => age.complain(&faults)?,
        Ok(stanzas) => {
            for (file, stanza) in stanzas {
                let mut arguments = vec![file.to_string(), stanza.kind];
                arguments.extend(stanza.arguments);
                age.tell(&Stanza { kind: "recipient-stanza".to_owned(), arguments, body: stanza.body })?;
            }
        }
    }
    age.say(&Stanza::new("done", &[]))
}

/// Of each file and each recipient one.
fn stanzas(wishes: &[Stanza], reach: Reach<'_>) -> std::result::Result<Vec<(usize, Stanza)>, Vec<Fault>> {
    let (mut recipients, mut faults): (Vec<Box<dyn Recipient>>, _) = (Vec::new(), Vec::new());
    let named = |kind| wishes.iter().filter(move |wish| wish.kind == kind).map(argument).enumerate();
    let texts = named("add-recipient").map(|(at, text)| (format!("recipient {at}"), recipient(text, reach)));
    let identities = named("add-identity").map(|(at, text)| (format!("identity {at}"), holder(text, reach)));
    for (with, recipient) in texts.chain(identities) {
        match recipient {
            Ok(recipient) => recipients.push(recipient),
            Err(error) => faults.push(Fault { with, error }),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let internal = |error| vec![Fault { with: "internal".to_owned(), error }];
    let keys = wishes.iter().filter(|wish| wish.kind == "wrap-file-key");
    let keys =
        keys.map(|wish| FileKey::from_slice(&wish.body)).collect::<Result<Vec<_>>>().map_err(internal)?;
    let mut stanzas = Vec::new();
    for (at, recipient) in recipients.iter().enumerate() {
        let wrapped =
            recipient.wrap_all(&keys).map_err(|error| vec![Fault::new(format!("recipient {at}"))(error)])?;
        stanzas.extend(wrapped.into_iter().enumerate());
    }
    Ok(stanzas)
}

fn recipient(text: &str, reach: Reach<'_>) -> Result<Box<dyn Recipient>> {
    Ok(match KeyText::parse(text)? {
        KeyText::Public(public) => Box::new(public),
        KeyText::Named(name) => Box::new(KeyRecipient::new(reach()?, name.as_str())?),
    })
}

/// Whoever opens by this identity.
fn holder(text: &str, reach: Reach<'_>) -> Result<Box<dyn Recipient>> {
    let name =
        parse_identity(text)?.ok_or_else(|| Error::invalid("this identity names no key to encrypt for"))?;
    Ok(Box::new(KeyRecipient::new(reach()?, name.as_str())?))
}

fn open(age: &mut Age<impl BufRead, impl Write>, reach: Reach<'_>) -> Result<()> {
    let wishes = age.wishes()?;
    match identities(&wishes, reach) {
        Err(faults) => age.complain(&faults)?,
        Ok(identities) => {
            for (file, stanzas) in files(&wishes)? {
                match unwrap(&identities, file, &stanzas) {
                    Ok(None) => {}
                    Ok(Some(key)) => {
                        age.tell(
                            &Stanza::new("file-key", &[&file.to_string()]).with_body(key.expose().to_vec()),
                        )?;
                    }
                    Err(fault) => age.complain(&[fault])?,
                }
            }
        }
    }
    age.say(&Stanza::new("done", &[]))
}

fn identities(wishes: &[Stanza], reach: Reach<'_>) -> std::result::Result<Vec<KeyIdentity>, Vec<Fault>> {
    let (mut identities, mut faults) = (Vec::new(), Vec::new());
    let texts = wishes.iter().filter(|wish| wish.kind == "add-identity").map(argument);
    for (at, text) in texts.enumerate() {
        let identity = parse_identity(text).and_then(|name| match name {
            Some(name) => KeyIdentity::named(reach()?, name.as_str()),
            None => Ok(KeyIdentity::any(reach()?)),
        });
        match identity {
            Ok(identity) => identities.push(identity),
            Err(error) => faults.push(Fault::new(format!("identity {at}"))(error)),
        }
    }
    if faults.is_empty() { Ok(identities) } else { Err(faults) }
}

/// The stanzas of each file, by the number that age gave it.
fn files(wishes: &[Stanza]) -> Result<BTreeMap<usize, Vec<Stanza>>> {
    let mut files: BTreeMap<usize, Vec<Stanza>> = BTreeMap::new();
    for wish in wishes.iter().filter(|wish| wish.kind == "recipient-stanza") {
        let [file, kind, rest @ ..] = &wish.arguments[..] else {
            return Err(malformed("age names no file for a stanza"));
        };
        let file = file.parse().map_err(|_| malformed("age names no file for a stanza"))?;
        let stanza = Stanza { kind: kind.clone(), arguments: rest.to_vec(), body: wish.body.clone() };
        files.entry(file).or_default().push(stanza);
    }
    Ok(files)
}

/// The key by the first identity that opens it; otherwise why the last that should have did not.
fn unwrap(
    identities: &[KeyIdentity],
    file: usize,
    stanzas: &[Stanza],
) -> std::result::Result<Option<FileKey>, Fault> {
    let mut fault = None;
    for (at, identity) in identities.iter().enumerate() {
        match identity.unwrap(stanzas) {
            Ok(Some(key)) => return Ok(Some(key)),
            Ok(None) => {}
            Err(error) if error.code == canis_proto::ErrorCode::UnsupportedFormat => {
                let wrong =
                    stanzas.iter().position(|stanza| identity.unwrap(std::slice::from_ref(stanza)).is_err());
                return Err(Fault { with: format!("stanza {file} {}", wrong.unwrap_or(0)), error });
            }
            Err(error) => fault = Some(Fault { with: format!("identity {at}"), error }),
        }
    }
    fault.map_or(Ok(None), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{PublicRecipient, public_recipient};
    use proptest::prelude::*;

    const SPKI: &[u8] =
        b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00\x09\x20\x21\x22\x23\x24\x25\x26\x27\x28\x29\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31\x32\x33\x34\x35\x36\x37\x38\x39\x3a\x3b\x3c\x3d\x3e";

    fn nobody() -> Result<Arc<Shared>> {
        Err(Error::invalid("no server is named"))
    }

    fn said(machine: &str, input: &str) -> String {
        let mut output = Vec::new();
        run(machine, input.as_bytes(), &mut output, &nobody).unwrap();
        String::from_utf8(output).unwrap()
    }

    /// Commands that nobody knows are passed over, two files get a stanza each, and none is sent if a recipient is wrong.
    #[test]
    fn wraps() {
        let recipient = public_recipient(&PublicRecipient::new("k", 3, SPKI).unwrap());
        let key = "AAAAAAAAAAAAAAAAAAAAAA";
        let wishes = format!(
            "-> grease-x 1\n\n-> add-recipient {recipient}\n\n-> wrap-file-key\n{key}\n-> wrap-file-key\n{key}\n-> done\n\n"
        );
        let said_ok = said("recipient-v1", &format!("{wishes}-> ok\n\n-> ok\n\n"));
        assert_eq!(said_ok.matches("-> recipient-stanza 0 canis k 3 ").count(), 1, "{said_ok}");
        assert_eq!(said_ok.matches("-> recipient-stanza 1 canis k 3 ").count(), 1, "{said_ok}");
        assert!(said_ok.ends_with("-> done\n\n"));
        let broken = wishes.replace(&recipient, &format!("{recipient}q"));
        let complaint = said("recipient-v1", &format!("{broken}-> ok\n\n"));
        assert!(complaint.starts_with("-> error recipient 0\n") && !complaint.contains("recipient-stanza"));
        let unreached = said("identity-v1", "-> add-identity AGE-PLUGIN-CANIS-1QQQ\n\n-> done\n\n-> ok\n\n");
        assert!(unreached.starts_with("-> error identity 0\n"), "{unreached}");
        assert!(run("recipient-v2", &b""[..], Vec::new(), &nobody).is_err());
    }

    proptest! {
        #[test]
        fn total(lines in "(-> (add-recipient|add-identity|recipient-stanza|wrap-file-key|done|x) ?[ -~]{0,20}\n[A-Za-z]{0,5}\n){0,6}") {
            let _ = run("recipient-v1", lines.as_bytes(), Vec::new(), &nobody);
            let _ = run("identity-v1", lines.as_bytes(), Vec::new(), &nobody);
        }
    }
}
