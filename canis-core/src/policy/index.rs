//! Patterns by their segments, so that a decision looks at those that are about the path and at no others.

use super::path::{Pattern, Segment};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Where the patterns that begin alike part. What they are for is a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// What follows on a segment of these bytes.
    segments: HashMap<Vec<u8>, Node>,
    /// What follows on any segment.
    any: Option<Box<Node>>,
    /// Rules that end here.
    here: Vec<usize>,
    /// Rules for whatever begins so from here on.
    open: BTreeMap<Vec<u8>, Vec<usize>>,
    /// How long these beginnings are.
    lengths: BTreeSet<usize>,
}

impl Node {
    /// Adds a pattern.
    pub(super) fn add(&mut self, pattern: &Pattern, rule: usize) {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Is(bytes) => node.segments.entry(bytes.clone()).or_default(),
                Segment::Any => node.any.get_or_insert_default(),
            };
        }
        match &pattern.rest {
            None => node.here.push(rule),
            Some(beginning) => {
                node.lengths.insert(beginning.len());
                node.open.entry(beginning.clone()).or_default().push(rule);
            }
        }
    }

    /// Finds the patterns that match the path.
    pub(super) fn find(&self, path: &[u8], found: &mut Vec<usize>) {
        let beginnings = self.lengths.iter().map_while(|len| path.get(..*len));
        found.extend(beginnings.filter_map(|beginning| self.open.get(beginning)).flatten());
        let slash = path.iter().position(|byte| *byte == b'/');
        let segment = &path[..slash.unwrap_or(path.len())];
        for next in self.segments.get(segment).into_iter().chain(self.any.as_deref()) {
            match slash {
                Some(at) => next.find(&path[at + 1..], found),
                None => found.extend(&next.here),
            }
        }
    }
}
