//! The fenced blocks of a document (CommonMark, section 4.5).

/// What makes sure that a block is true.
pub(crate) enum Check {
    /// A test of this file runs it.
    Here,
    /// Another file does, in which this stands.
    By(&'static str, &'static str),
    /// Nothing: why not.
    Shown(&'static str),
}

/// A block.
pub(crate) struct Block {
    /// What stands behind its fence.
    info: String,
    pub(crate) text: String,
}

impl Block {
    /// The language, with `recipe` where it is one of several that a test takes by name.
    pub(crate) fn kind(&self) -> &str {
        match self.info.split_once(' ') {
            Some((language, rest)) if rest.starts_with("recipe ") => &self.info[..language.len() + 7],
            Some((language, _)) => language,
            None => &self.info,
        }
    }

    /// What is typed: all of it, or what follows a prompt, with the lines that go on.
    pub(crate) fn commands(&self) -> String {
        if self.info != "console" {
            return self.text.clone();
        }
        let lines = self.text.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

/// The blocks of a document.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let body = lines.by_ref().take_while(|line| !line.trim_start().starts_with("```"));
        let text = body.map(|line| format!("{line}\n")).collect();
        blocks.push(Block { info: info.to_owned(), text });
    }
    blocks
}
