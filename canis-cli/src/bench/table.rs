//! Rows for people.

use super::plan::{Keep, Row, Spread};
use std::fmt::Write;

/// What stands where a module lacks an operation.
const LACKING: &str = "–";

/// A table of rows under the names of A and B.
pub(super) fn rows(names: &[String], rows: &[Row]) -> String {
    let mut text = String::new();
    for (letter, name) in ["A", "B"].iter().zip(names) {
        line(&mut text, format_args!("{letter}: {name}"));
    }
    let compared = names.len() > 1;
    let (mut place, mut notes) = (None, Vec::new());
    for row in rows {
        let here = heading(row);
        if place.as_ref() != Some(&here) {
            line(&mut text, format_args!("\n{here}"));
            line(&mut text, format_args!("{}", head(compared)));
            place = Some(here);
        }
        line(&mut text, format_args!("{}", cells(row, compared)));
        let note = row.note.as_ref().map(|note| format!("{}: {note}", row.operation.title()));
        notes.extend(note.filter(|note| !notes.contains(note)));
    }
    if !notes.is_empty() {
        line(&mut text, format_args!("\n{LACKING}: lacking"));
    }
    for note in notes {
        line(&mut text, format_args!("  {note}"));
    }
    text
}

/// Writing into a String cannot fail.
pub(super) fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{line}");
}

fn heading(row: &Row) -> String {
    let keys = match row.keys {
        Some(Keep::Session) => "session keys",
        Some(Keep::Token) => "token keys",
        None => "without keys",
    };
    match row.objects {
        Some(objects) => format!("{keys}, {objects} objects on the token"),
        None => keys.to_owned(),
    }
}

fn head(compared: bool) -> String {
    let mut head = format!("{:26} {:>7} {:>12}", "operation", "threads", "A ops/s");
    if compared {
        let _ = write!(head, " {:>12}   {:20}", "B ops/s", "A/B (min–max)");
    }
    head + "  gain by threads"
}

fn cells(row: &Row, compared: bool) -> String {
    let mut cells = format!("{:26} {:>7} {:>12}", row.operation.title(), row.threads, rate(row.a));
    if compared {
        let _ = write!(cells, " {:>12}   {:20}", rate(row.b), ratio(row.ratio));
    }
    match (row.a_gain, row.b_gain) {
        (None, None) => {}
        (a, None) => drop(write!(cells, "  A {}", number(a))),
        (a, b) => drop(write!(cells, "  A {}, B {}", number(a), number(b))),
    }
    cells.trim_end().to_owned()
}

/// Operations a second.
pub(super) fn rate(rate: Option<f64>) -> String {
    match rate {
        Some(rate) if rate < 100.0 => format!("{rate:.1}"),
        Some(rate) => grouped(rate.round() as u64),
        None => LACKING.to_owned(),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A ratio with its smallest and largest.
pub(super) fn ratio(ratio: Option<Spread>) -> String {
    match ratio {
        Some(Spread { median, min, max }) => {
            format!("{} ({}–{})", number(Some(median)), number(Some(min)), number(Some(max)))
        }
        None => LACKING.to_owned(),
    }
}

fn number(number: Option<f64>) -> String {
    match number {
        Some(number) if number >= 100.0 => grouped(number.round() as u64),
        Some(number) => format!("{number:.2}"),
        None => LACKING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::operation::Op;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(rate(Some(999.6)), "1,000");
        assert_eq!(rate(Some(12.34)), "12.3");
        assert_eq!(ratio(None), LACKING);
        let spread = Spread { median: 2.345, min: 1.0, max: 2500.0 };
        assert_eq!(ratio(Some(spread)), "2.35 (1.00–2,500)");
    }

    #[test]
    fn what_is_lacking_is_shown() {
        let row = Row {
            operation: Op::Hmac1K,
            keys: Some(Keep::Session),
            objects: Some(10),
            threads: 1,
            a: None,
            b: Some(5.0),
            ratio: None,
            a_gain: None,
            b_gain: None,
            note: Some("A: no".to_owned()),
        };
        let text = rows(&["one".to_owned(), "two".to_owned()], &[row]);
        assert!(text.contains("A: one\nB: two\n"));
        assert!(text.contains("session keys, 10 objects on the token"));
        assert!(text.contains('–') && text.ends_with("HMAC-SHA256 1 KiB: A: no\n"));
    }
}
