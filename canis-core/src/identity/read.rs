//! The text of a role, HCL → role. What is no role is refused with its line and column.

use super::glob::Glob;
use super::role::{Binding, OfCertificate, OfJwt, OfUnix, Role};
use crate::policy::{Placed, PolicyError, Text};
use canis_proto::{Capabilities, Capability, Error, Result};
use hcl_edit::Span;
use hcl_edit::expr::ObjectKey;
use hcl_edit::structure::{Attribute, Block, Body, Structure};

/// The longest text of a role in bytes.
const LONGEST: usize = 64 * 1024;
/// The most blocks, and the most names in one list.
const MOST: usize = 256;

type Read<T> = std::result::Result<T, PolicyError>;

impl Role {
    /// Reads a role.
    ///
    /// # Errors
    /// `invalid_argument`: the first thing that is wrong with it.
    pub(crate) fn read(text: &str) -> Result<Role> {
        if text.len() > LONGEST {
            return Err(Error::invalid(format!("a role has at most {LONGEST} bytes, not {}", text.len())));
        }
        read(text).map_err(|error| Error::invalid(format!("the role is refused: {error}")))
    }
}

fn read(written: &str) -> Read<Role> {
    let body: Body = written.parse().map_err(PolicyError::of_syntax)?;
    let text = Text::of(written);
    let mut role = Role { policies: Vec::new(), capabilities: Capabilities::NONE, bindings: Vec::new() };
    for structure in &body {
        match structure {
            Structure::Attribute(attribute) => grant(&text, attribute, &mut role)?,
            Structure::Block(block) => role.bindings.push(binding(&text, block)?),
        }
    }
    let nobody = "the role is about nobody: it needs a block `certificate`, `unix`, `jwt` or `pin`";
    match &role {
        Role { bindings, .. } if bindings.is_empty() => Err(text.wrong(None, nobody)),
        Role { bindings, .. } if bindings.len() > MOST => {
            Err(text.wrong(None, format!("a role has at most {MOST} blocks")))
        }
        Role { policies, capabilities: Capabilities::NONE, .. } if policies.is_empty() => {
            Err(text.wrong(None, "the role gives nothing: it needs `policies = [\"…\"]` or `capabilities`"))
        }
        _ => Ok(role),
    }
}

fn grant(text: &Text, attribute: &Attribute, role: &mut Role) -> Read<()> {
    match attribute.key.as_str() {
        "policies" => {
            for (name, span) in list(text, attribute)? {
                canis_proto::policy::check_policy_name(name)
                    .map_err(|error| text.wrong(span, error.message))?;
                role.policies.push(name.to_owned());
            }
        }
        "capabilities" => {
            for (name, span) in list(text, attribute)? {
                let known = Capability::from_name(name)
                    .ok_or_else(|| text.wrong(span, format!("there is no capability `{name}`")))?;
                role.capabilities = role.capabilities.with(known);
            }
        }
        other => {
            let known = "policies, capabilities, and blocks certificate, unix, jwt and pin";
            return Err(text.wrong(attribute.key.span(), format!("a role has no `{other}`; it has {known}")));
        }
    }
    Ok(())
}

fn binding(text: &Text, block: &Block) -> Read<Binding> {
    if !block.labels.is_empty() {
        return Err(text.wrong(block.ident.span(), "this block has no name of its own"));
    }
    let attributes: Vec<&Attribute> = block.body.attributes().collect();
    if attributes.len() < block.body.len() {
        return Err(text.wrong(block.ident.span(), "no block stands in this one, only `name = value`"));
    }
    let binding = match block.ident.as_str() {
        "certificate" => Binding::Certificate(certificate(text, &attributes)?),
        "unix" => Binding::Unix(unix(text, &attributes)?),
        "jwt" => Binding::Jwt(jwt(text, block, &attributes)?),
        "pin" => match attributes.first() {
            None => return Ok(Binding::Pin),
            Some(attribute) => return Err(unknown(text, attribute, "nothing")),
        },
        other => {
            let message = format!("there is no block `{other}`; there are certificate, unix, jwt and pin");
            return Err(text.wrong(block.ident.span(), message));
        }
    };
    if attributes.is_empty() {
        return Err(text.wrong(block.ident.span(), "this block is about everybody; say whom it is about"));
    }
    Ok(binding)
}

fn certificate(text: &Text, attributes: &[&Attribute]) -> Read<OfCertificate> {
    let mut wanted = OfCertificate::default();
    for attribute in attributes {
        match attribute.key.as_str() {
            "subject" => wanted.subject = globs(text, attribute)?,
            "issuer" => wanted.issuer = globs(text, attribute)?,
            "uri" => wanted.uri = globs(text, attribute)?,
            "dns" => wanted.dns = globs(text, attribute)?.into_iter().map(Glob::lowercase).collect(),
            "sha256" => {
                for (written, span) in list(text, attribute)? {
                    let message =
                        "`sha256` is 64 hexadecimal digits, with or without colons between the bytes";
                    wanted.sha256.push(fingerprint(written).ok_or_else(|| text.wrong(span, message))?);
                }
            }
            _ => return Err(unknown(text, attribute, "subject, issuer, uri, dns, sha256")),
        }
    }
    Ok(wanted)
}

fn unix(text: &Text, attributes: &[&Attribute]) -> Read<OfUnix> {
    let mut wanted = OfUnix::default();
    for attribute in attributes {
        match attribute.key.as_str() {
            "uid" => wanted.uid = numbers(text, attribute)?,
            "gid" => wanted.gid = numbers(text, attribute)?,
            "user" => wanted.user = globs(text, attribute)?,
            _ => return Err(unknown(text, attribute, "uid, gid, user")),
        }
    }
    Ok(wanted)
}

fn jwt(text: &Text, block: &Block, attributes: &[&Attribute]) -> Read<OfJwt> {
    let mut wanted = OfJwt::default();
    for attribute in attributes {
        let exact = || -> Read<Vec<String>> {
            Ok(list(text, attribute)?.into_iter().map(|(name, _)| name.to_owned()).collect())
        };
        match attribute.key.as_str() {
            "issuer" => wanted.issuer = exact()?,
            "audience" => wanted.audience = exact()?,
            "subject" => wanted.subject = globs(text, attribute)?,
            "claims" => wanted.claims = claims(text, attribute)?,
            _ => return Err(unknown(text, attribute, "issuer, audience, subject, claims")),
        }
    }
    if wanted.issuer.is_empty() || wanted.audience.is_empty() {
        let message = "a `jwt` block names `issuer` and `audience`, as the tokens have them";
        return Err(text.wrong(block.ident.span(), message));
    }
    Ok(wanted)
}

fn claims(text: &Text, attribute: &Attribute) -> Read<Vec<(String, Vec<Glob>)>> {
    let message = "`claims` is `{ name = \"value\" }`; a value may be a list of texts";
    let Some(object) = attribute.value.as_object() else {
        return Err(text.wrong(attribute.value.span(), message));
    };
    let mut claims = Vec::new();
    for (key, value) in object.iter() {
        let name = match key {
            ObjectKey::Ident(ident) => ident.as_str(),
            ObjectKey::Expression(expression) => {
                expression.as_str().ok_or_else(|| text.wrong(attribute.value.span(), message))?
            }
        };
        if claims.iter().any(|(before, _)| before == name) {
            return Err(text.wrong(attribute.value.span(), format!("the claim `{name}` stands twice")));
        }
        claims.push((name.to_owned(), patterns(text, text.texts_of(name, value.expr())?)?));
    }
    Ok(claims)
}

fn unknown(text: &Text, attribute: &Attribute, known: &str) -> PolicyError {
    let message = format!("this block has no `{}`; it has {known}", attribute.key.as_str());
    text.wrong(attribute.key.span(), message)
}

fn list<'a>(text: &Text, attribute: &'a Attribute) -> Read<Vec<Placed<'a>>> {
    let names = text.texts(attribute)?;
    match names.len() > MOST {
        true => Err(text.wrong(attribute.value.span(), format!("a list has at most {MOST} names"))),
        false => Ok(names),
    }
}

fn globs(text: &Text, attribute: &Attribute) -> Read<Vec<Glob>> {
    patterns(text, list(text, attribute)?)
}

fn patterns(text: &Text, written: Vec<Placed<'_>>) -> Read<Vec<Glob>> {
    let message = "this is empty, or a backslash stands before something else than `*` or a backslash";
    written
        .into_iter()
        .map(|(glob, span)| Glob::read(glob).ok_or_else(|| text.wrong(span, message)))
        .collect()
}

fn numbers(text: &Text, attribute: &Attribute) -> Read<Vec<u32>> {
    let message = format!("`{}` is a number, or a list of numbers", attribute.key.as_str());
    let one = |value: &hcl_edit::expr::Expression| {
        let number =
            value.as_number().and_then(hcl_edit::Number::as_u64).and_then(|number| number.try_into().ok());
        number.ok_or_else(|| text.wrong(value.span(), message.clone()))
    };
    match attribute.value.as_array() {
        None => Ok(vec![one(&attribute.value)?]),
        Some(list) if list.is_empty() => Err(text.wrong(attribute.value.span(), message)),
        Some(list) => list.iter().map(one).collect(),
    }
}

/// `aa:bb:…` or `aabb…`.
fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: String = match text.contains(':') {
        true if text.split(':').all(|byte| byte.len() == 2) => text.split(':').collect(),
        true => return None,
        false => text.to_owned(),
    };
    let is_hex = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let mut out = [0; 32];
    let mut pairs = out.iter_mut().zip(digits.as_bytes().chunks_exact(2));
    let read = |(byte, pair): (&mut u8, &[u8])| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).map(|read| *byte = read).ok()
    };
    let all = is_hex && pairs.all(|pair| read(pair).is_some());
    all.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "policies = [\"a\"]\n\ncertificate {\n  uri    = [\"spiffe://a/*\", \"b\"]\n  sha256 = \"ab\"\n}\n\njwt {\n  \
                        issuer   = \"i\"\n  audience = [\"a\"]\n  claims   = { x = [\"y\"], \"z\" = \"*\" }\n}\nunix { uid = [0, 1] }\npin {}\n";

    #[test]
    fn a_role_says_whom_it_is_about() {
        let text = TEXT.replace("\"ab\"", &format!("\"{}\"", "ab:".repeat(32).trim_end_matches(':')));
        let role = Role::read(&text).unwrap();
        let names: Vec<_> = role.bindings.iter().map(Binding::name).collect();
        assert_eq!(names, ["certificate", "jwt", "unix", "pin"]);
        assert!(role.is_of_pins() && role.lets_in());
        let Some(Binding::Certificate(certificate)) = role.bindings.first() else { panic!("{role:?}") };
        assert_eq!((certificate.sha256.as_slice(), certificate.uri.len()), (&[[0xab; 32]][..], 2));
        assert!(Role::read(TEXT).unwrap_err().message.contains("line 5, column 12"));
    }

    #[test]
    fn fingerprints_have_one_form_or_the_other() {
        for (text, good) in [
            ("ab".repeat(32), true),
            ("AB".repeat(32), true),
            ("ab".repeat(31), false),
            (format!("ab:{}", "ab".repeat(31)), false),
            ("a:b".repeat(22), false),
            (format!("+a{}", "ab".repeat(31)), false),
            ("é".repeat(32), false),
        ] {
            assert_eq!(fingerprint(&text).is_some(), good, "{text}");
        }
    }

    proptest! {
        /// A text is a role or it is refused, whatever became of one.
        #[test]
        fn any_text_is_read_or_refused(at in 0..TEXT.len(), cut in 0..40usize, with in "\\PC{0,6}") {
            let end = (at + cut).min(TEXT.len());
            let _ = Role::read(&format!("{}{with}{}", &TEXT[..at], &TEXT[end..]));
            let _ = Role::read(&with);
        }
    }
}
