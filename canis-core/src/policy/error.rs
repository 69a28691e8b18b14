//! What is wrong with a policy, with its place.

use canis_proto::Error;
use std::fmt;

/// What is wrong with the text of a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes, from 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl PolicyError {
    /// What is no HCL.
    pub(crate) fn of_syntax(error: hcl_edit::parser::Error) -> Self {
        PolicyError {
            line: error.location().line(),
            column: error.location().column(),
            message: error.message().to_owned(),
        }
    }
}

impl From<PolicyError> for Error {
    fn from(error: PolicyError) -> Self {
        Error::invalid(format!("the policy is refused: {error}"))
    }
}
