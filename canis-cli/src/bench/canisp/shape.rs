//! How a client asks: on so many connections, so many requests ahead on each.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Connections, and how many requests are in flight on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// How many connections.
    pub(super) connections: usize,
    /// How many requests are in flight on each.
    pub(super) depth: u32,
}

/// What a server of ours allows (docs/canisp.md).
const MOST: (usize, u32) = (1024, 64);

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (connections, depth) = text.split_once('x').ok_or("not CONNECTIONSxDEPTH, as in 8x16")?;
        let shape = Shape {
            connections: connections.parse().map_err(|_| "the connections are no number")?,
            depth: depth.parse().map_err(|_| "the depth is no number")?,
        };
        let (connections, depth) = MOST;
        if (1..=connections).contains(&shape.connections) && (1..=depth).contains(&shape.depth) {
            return Ok(shape);
        }
        Err(format!("from 1x1 to {connections}x{depth}"))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.connections, self.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read() {
        assert_eq!("8x16".parse(), Ok(Shape { connections: 8, depth: 16 }));
        assert_eq!(Shape { connections: 8, depth: 16 }.to_string(), "8x16");
        for wrong in ["", "8", "0x1", "1x0", "1x65", "9999x1", "1xx1", "-1x1"] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }
}
