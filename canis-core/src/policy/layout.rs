//! The one layout of a policy's text: two spaces a level, `=` in columns, no two blank lines. Comments stay where they are.

use super::error::PolicyError;
use super::read::Policy;

/// Spaces a level.
const STEP: usize = 2;

impl Policy {
    /// The text as policies are laid out; it says the same.
    ///
    /// # Errors
    /// Those of [`Policy::read`].
    pub fn lay_out(text: &str) -> Result<String, PolicyError> {
        Policy::read(text)?;
        let mut lines: Vec<Line<'_>> = Vec::new();
        let mut depth: usize = 0;
        for text in text.lines() {
            let line = Line::of(text, depth);
            depth = depth.saturating_add_signed(line.deeper);
            let blank_before = lines.last().is_none_or(|before| before.text.is_empty() || before.deeper > 0);
            if !(line.text.is_empty() && blank_before) {
                lines.push(line);
            }
        }
        while lines.last().is_some_and(|line| line.text.is_empty()) {
            lines.pop();
        }
        let mut out = String::with_capacity(text.len());
        for group in lines.chunk_by(|a, b| a.value_at.is_some() && b.value_at.is_some() && a.depth == b.depth)
        {
            let widest = group.iter().filter_map(|line| line.name()).map(str::len).max().unwrap_or_default();
            for line in group {
                line.write(widest, &mut out);
            }
        }
        Ok(out)
    }
}

/// A line without what stands around it.
struct Line<'a> {
    text: &'a str,
    /// How deep it stands.
    depth: usize,
    /// How much deeper what follows stands.
    deeper: isize,
    /// Where the `=` of a `name = value` stands that begins on this line.
    value_at: Option<usize>,
}

impl<'a> Line<'a> {
    fn of(line: &'a str, depth: usize) -> Self {
        let text = line.trim();
        let (mut deeper, mut value_at) = (0_isize, None);
        let (mut quoted, mut escaped) = (false, false);
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'#' => break,
                b'/' if text[at..].starts_with("//") => break,
                b'=' if deeper == 0 && value_at.is_none() => value_at = Some(at),
                b'{' | b'[' => deeper += 1,
                b'}' | b']' => deeper -= 1,
                _ => {}
            }
        }
        // What a line closes before it says anything else, it closes for itself.
        let closes = text.bytes().take_while(|byte| matches!(byte, b'}' | b']')).count();
        Line { text, depth: depth.saturating_sub(closes), deeper, value_at }
    }

    fn name(&self) -> Option<&'a str> {
        self.value_at.map(|at| self.text[..at].trim_end())
    }

    fn write(&self, widest: usize, out: &mut String) {
        if !self.text.is_empty() {
            out.extend(std::iter::repeat_n(' ', STEP * self.depth));
        }
        match (self.name(), self.value_at) {
            (Some(name), Some(at)) => {
                out.push_str(name);
                out.extend(std::iter::repeat_n(' ', widest - name.len()));
                out.push_str(" = ");
                out.push_str(self.text[at + 1..].trim_start());
            }
            _ => out.push_str(self.text),
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOSE: &str = "\n\n# who writes invoices\npath \"kms/keys/a = {\" {\n\n\tcapabilities=[\"encrypt\",\n  \"decrypt\"] # both\n max_payload    =   \"64KiB\"\n    valid_hours = [\"08:00-18:00\"]\n  // so\n}\n\n\n\npath \"kms/kv/*\" { capabilities = [\"read\"] }\n\n";
    const NEAT: &str = "# who writes invoices\npath \"kms/keys/a = {\" {\n  capabilities = [\"encrypt\",\n    \"decrypt\"] # both\n  max_payload = \"64KiB\"\n  valid_hours = [\"08:00-18:00\"]\n  // so\n}\n\npath \"kms/kv/*\" { capabilities = [\"read\"] }\n";

    #[test]
    fn a_layout_says_the_same_and_is_its_own() {
        assert_eq!(Policy::lay_out(LOOSE).unwrap(), NEAT);
        assert_eq!(Policy::lay_out(NEAT).unwrap(), NEAT);
        let columns = "path \"sys\" {\n  capabilities = [\"read\"]\n  key_types    = [\"rsa-2048\"]\n}\n";
        assert_eq!(Policy::lay_out(&columns.replace("    =", "=")).unwrap(), columns);
        assert_eq!(Policy::lay_out("").unwrap(), "");
        assert!(Policy::lay_out("path").is_err());
    }
}
