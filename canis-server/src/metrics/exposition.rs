//! The text of `/metrics`: OpenMetrics 1.0, or the older text format of Prometheus for who does not ask for it.

use super::family::{Family, Kind};
use std::fmt::{Display, Write};

/// Which text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// OpenMetrics 1.0.
    Open,
    /// Prometheus 0.0.4.
    Plain,
}

impl Form {
    /// The one that somebody accepts who says so in `Accept`.
    pub(crate) fn accepted(accept: Option<&str>) -> Self {
        match accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            true => Form::Open,
            false => Form::Plain,
        }
    }

    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Form::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Form::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A text that is being written.
pub(super) struct Exposition {
    form: Form,
    text: String,
    family: Option<Family>,
}

impl Exposition {
    /// An empty one.
    pub(super) fn new(form: Form) -> Self {
        Exposition { form, text: String::with_capacity(16 << 10), family: None }
    }

    /// What follows are samples of this family.
    pub(super) fn family(&mut self, family: Family) -> &mut Self {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        };
        // The older format knows no families: it gives types to samples.
        let name = match self.form {
            Form::Open => family.name.to_owned(),
            Form::Plain => family.queried(),
        };
        self.line(format_args!("# HELP {name} {}", family.help));
        self.line(format_args!("# TYPE {name} {kind}"));
        self.family = Some(family);
        self
    }

    /// One sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let name = self.family.map(|family| family.queried()).unwrap_or_default();
        self.named(&name, labels, value)
    }

    /// One sample that has the family's name and this behind it.
    pub(super) fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let name = self.family.map(|family| format!("{}{suffix}", family.name)).unwrap_or_default();
        self.named(&name, labels, value)
    }

    fn named(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.text.push_str(name);
        for (at, (label, content)) in labels.iter().enumerate() {
            let (before, content) = (if at == 0 { '{' } else { ',' }, escaped(content));
            let _ = write!(self.text, "{before}{label}=\"{content}\"");
        }
        self.text.push_str(if labels.is_empty() { "" } else { "}" });
        self.line(format_args!(" {value}"));
        self
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.form == Form::Open {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Nanoseconds as seconds.
pub(super) fn seconds(nanos: u64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}
