//! Patterns of paths: `kms/keys/production/*`, `kms/keys/+/signing`.
//!
//! A path is a resource's name, compared byte by byte: nothing in it is decoded, folded or collapsed, so there are no
//! two ways to write one. `+` stands for one whole segment, `*` at the end for whatever follows, also nothing and also
//! slashes. A backslash takes the meaning from the `*`, `+` or `\` behind it.

/// Segments of one pattern.
const MAX_SEGMENTS: usize = 64;
/// The beginnings that resources have.
const ROOTS: [&str; 2] = ["kms", "sys"];

/// Which resources a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// As it was written.
    pub(super) text: String,
    /// Its whole segments.
    pub(super) segments: Vec<Segment>,
    /// With a `*`: how what follows the whole segments begins.
    pub(super) rest: Option<Vec<u8>>,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// These bytes.
    Is(Vec<u8>),
    /// `+`.
    Any,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub(super) fn read(text: &str) -> Result<Pattern, String> {
        let (body, open) = match text.strip_suffix('*') {
            Some(body) if !ends_escaped(body) => (body, true),
            _ => (text, false),
        };
        let mut segments = body.split('/').map(segment).collect::<Result<Vec<_>, _>>()?;
        if segments.len() > MAX_SEGMENTS {
            return Err(format!("a path has at most {MAX_SEGMENTS} segments, not {}", segments.len()));
        }
        let rest = match open.then(|| segments.pop()).flatten() {
            None => None,
            Some(Segment::Is(bytes)) => Some(bytes),
            Some(Segment::Any) => return Err("`+` stands for a whole segment; `+*` is `*`".to_owned()),
        };
        let pattern = Pattern { text: text.to_owned(), segments, rest };
        pattern.begins_as_resources_do()?;
        Ok(pattern)
    }

    /// What matches every path, told as `text`.
    pub(super) fn everything(text: &str) -> Self {
        Pattern { text: text.to_owned(), segments: Vec::new(), rest: Some(Vec::new()) }
    }

    /// What matches this one path.
    pub(super) fn of_path(path: &[u8]) -> Self {
        let segments = path.split(|byte| *byte == b'/').map(|segment| Segment::Is(segment.to_vec()));
        Pattern { text: String::new(), segments: segments.collect(), rest: None }
    }

    /// A pattern that can match nothing is a mistake that nobody would notice otherwise.
    fn begins_as_resources_do(&self) -> Result<(), String> {
        let possible = match (self.segments.first(), &self.rest) {
            (Some(Segment::Any), _) => true,
            (Some(Segment::Is(first)), _) => ROOTS.iter().any(|root| root.as_bytes() == first),
            (None, Some(rest)) => ROOTS.iter().any(|root| root.as_bytes().starts_with(rest)),
            (None, None) => false,
        };
        if possible {
            return Ok(());
        }
        Err(format!(
            "no resource is called `{}`: paths begin with kms/keys/, kms/kv/, kms/objects/ or sys, without a slash before it",
            self.text
        ))
    }

    /// How much it says: the bytes that are not left open. Of two that match, the one that says more is the longer.
    pub(super) fn weight(&self) -> usize {
        let said = |segment: &Segment| match segment {
            Segment::Is(bytes) => bytes.len() + 1,
            Segment::Any => 1,
        };
        let whole: usize = self.segments.iter().map(said).sum();
        whole + self.rest.as_ref().map_or(1, Vec::len)
    }
}

fn segment(text: &str) -> Result<Segment, String> {
    if text == "+" {
        return Ok(Segment::Any);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '\\' => match characters.next() {
                Some(escaped @ ('*' | '+' | '\\')) => escaped,
                _ => return Err("a backslash stands before `*`, `+` or another backslash".to_owned()),
            },
            '*' => return Err("`*` stands at the end; write `\\\\*` for a star in a name".to_owned()),
            other => other,
        };
        bytes.extend_from_slice(literal.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(Segment::Is(bytes))
}

/// Whether what follows is escaped: an odd number of backslashes stands at the end.
fn ends_escaped(text: &str) -> bool {
    text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_cannot_be_meant_are_refused() {
        for (text, part) in [
            ("/kms/keys/a", "without a slash before"),
            ("kms/*/a", "at the end"),
            ("kms/keys/a*b", "at the end"),
            ("kms/keys/+*", "whole segment"),
            ("kms/keys/\\a", "backslash"),
            ("kms/keys/a\\", "backslash"),
            ("secret/data", "no resource"),
            ("KMS/keys/a", "no resource"),
            ("", "no resource"),
        ] {
            let refused = Pattern::read(text).unwrap_err();
            assert!(refused.contains(part), "{text}: {refused}");
        }
        assert!(Pattern::read(&"kms/".repeat(70)).unwrap_err().contains("64 segments"));
    }

    #[test]
    fn escapes_and_weights() {
        let starred = Pattern::read(r"kms/kv/\+49\*").unwrap();
        assert_eq!(starred.segments.last(), Some(&Segment::Is(b"+49*".to_vec())));
        assert_eq!(starred.rest, None);
        assert_eq!(Pattern::read(r"kms/kv/a\\*").unwrap().rest, Some(br"a\".to_vec()));
        let order = ["*", "kms/*", "kms/+/a", "kms/keys/*", "kms/keys/a*", "kms/keys/a"];
        let weights: Vec<_> = order.iter().map(|text| Pattern::read(text).unwrap().weight()).collect();
        assert!(weights.is_sorted(), "{weights:?}");
    }
}
