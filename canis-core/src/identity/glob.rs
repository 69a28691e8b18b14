//! Patterns of names in roles: `*` stands for whatever is in its place, also nothing. A backslash takes the meaning from
//! the `*` or `\` behind it. Everything else is compared byte by byte.

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    /// What stands between the stars; one piece if there is none.
    pieces: Vec<String>,
}

impl Glob {
    /// Reads a pattern; `None` for a backslash before anything else, or for nothing.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut pieces = vec![String::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let literal = match character {
                '*' => {
                    pieces.push(String::new());
                    continue;
                }
                '\\' => characters.next().filter(|escaped| matches!(escaped, '*' | '\\'))?,
                other => other,
            };
            pieces.last_mut()?.push(literal);
        }
        (!text.is_empty()).then_some(Glob { pieces })
    }

    /// The same for names whose case means nothing.
    pub(super) fn lowercase(mut self) -> Self {
        self.pieces.iter_mut().for_each(|piece| piece.make_ascii_lowercase());
        self
    }

    /// Whether the pattern is about this text. Takes time in proportion to the text for each piece.
    pub(super) fn matches(&self, text: &str) -> bool {
        let [first, between @ .., last] = &self.pieces[..] else {
            return self.pieces.first().is_some_and(|only| only == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        for piece in between {
            let Some(at) = rest.find(piece.as_str()) else { return false };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars() {
        for (pattern, text, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("*.example.org", "x.example.org", true),
            ("*.example.org", "example.org", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            // A piece is not used twice.
            ("ab*ba", "aba", false),
            ("a*a", "a", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            (r"a\\*", r"a\b", true),
            ("*", "", true),
        ] {
            assert_eq!(Glob::read(pattern).unwrap().matches(text), fits, "{pattern} {text}");
        }
        assert_eq!((Glob::read(r"a\b"), Glob::read("\\"), Glob::read("")), (None, None, None));
    }
}
