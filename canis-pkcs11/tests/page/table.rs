//! Tables in the page: what CANIS says next to what SoftHSM2 says.

/// The cell of what a module does not have.
pub(crate) const ABSENT: &str = "–";

/// One line.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) ours: String,
    pub(crate) theirs: String,
}

/// The text of a table.
pub(crate) fn written(head: &str, rows: &[Row]) -> String {
    let mut text = format!("| {head} | CANIS | SoftHSM2 2.6.1 |\n|---|---|---|\n");
    for row in rows {
        text += &format!("| `{}` | {} | {} |\n", row.name, row.ours, row.theirs);
    }
    text
}

/// What of a table speaks of CANIS: without the last column, and without what only the other module has.
pub(crate) fn of_canis_only(table: &str) -> String {
    let cells = |line: &str| line.split('|').skip(1).take(2).map(str::to_owned).collect::<Vec<_>>();
    let ours = |line: &&str| cells(line).get(1).is_none_or(|cell| cell.trim() != ABSENT);
    table
        .lines()
        .filter(ours)
        .map(|line| if line.starts_with('|') { cells(line).join("|") } else { line.into() } + "\n")
        .collect()
}

/// Puts `content` into a marked part of the page.
///
/// # Panics
/// If the page has no such part.
pub(crate) fn replaced(page: &str, part: &str, content: &str) -> String {
    let (before, old) = split(page, part);
    let after = &page[before.len() + old.len()..];
    format!("{before}\n{content}\n{after}")
}

/// A marked part of the page.
pub(crate) fn part<'a>(page: &'a str, part: &str) -> &'a str {
    split(page, part).1.trim_matches('\n')
}

fn split<'a>(page: &'a str, part: &str) -> (&'a str, &'a str) {
    let (begin, end) = (format!("<!-- {part}: generated -->\n"), format!("<!-- {part}: end -->"));
    let from = page.find(&begin).unwrap_or_else(|| panic!("the page has no part {part}")) + begin.len();
    let to = page.find(&end).unwrap_or_else(|| panic!("part {part} has no end"));
    (&page[..from], &page[from..to])
}
