//! From a request's path to its route.
//!
//! A path is taken apart at its slashes first, and what stands for an argument is percent-decoded once, afterwards (RFC
//! 3986, section 2.4). So a name may hold slashes; one that ends as a route does, as `a/rotate`, is asked for with `%2F`.
//! Nothing else is normalised: `.`, `..` and empty segments are left to the rules of names, which refuse them.

use super::routes::{ROUTES, Route};
use canis_proto::{Error, Result};
use percent_encoding::percent_decode_str;
use std::sync::LazyLock;

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Found<R: 'static = Route> {
    /// A row of the table, and the argument that the path gives.
    Route(&'static R, Option<(&'static str, String)>),
    /// Something that does not take this method, but these.
    OtherMethods(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// The argument that a segment of a route stands for.
pub(crate) fn placeholder(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// A table of routes, whose paths are taken apart once.
pub(crate) struct Paths<R: 'static>(Vec<Row<R>>);

struct Row<R: 'static> {
    route: &'static R,
    method: &'static str,
    /// What stands before the argument, with its slash; the whole path where there is none.
    before: &'static str,
    argument: Option<Argument>,
    /// How many segments are the route's own.
    words: usize,
}

struct Argument {
    name: &'static str,
    after: &'static str,
    /// Whether it may hold slashes: ids of slots and labels of tokens hold none.
    several: bool,
}

impl<R> Paths<R> {
    /// Those of `routes`, of which `of` says method and path.
    pub(crate) fn new(routes: &'static [R], of: impl Fn(&R) -> (&'static str, &'static str)) -> Self {
        let row = |route| {
            let (method, path) = of(route);
            let words = path.split('/').filter(|part| placeholder(part).is_none()).count();
            let part = path.split('/').find_map(|part| placeholder(part).map(|name| (part, name)));
            let taken = part.and_then(|(part, name)| Some((path.split_once(part)?, name)));
            let argument = taken.map(|((_, after), name)| Argument {
                name,
                after,
                several: !matches!(name, "slot" | "token"),
            });
            Row { route, method, before: taken.map_or(path, |((before, _), _)| before), argument, words }
        };
        Paths(routes.iter().map(row).collect())
    }

    /// The route of a method and path; of a path that several routes fit, whatever their methods, those with the most words
    /// of their own count.
    ///
    /// # Errors
    /// `invalid_argument` if what stands for an argument is not UTF-8.
    pub(crate) fn find(&self, method: &str, path: &str) -> Result<Found<R>> {
        let mut found: Vec<_> = self.0.iter().filter_map(|row| Some((row, row.captured(path)?))).collect();
        let Some(most) = found.iter().map(|(row, _)| row.words).max() else { return Ok(Found::Nothing) };
        found.retain(|(row, _)| row.words == most);
        match found.iter().find(|(row, _)| row.method == method) {
            Some((row, None)) => Ok(Found::Route(row.route, None)),
            Some((row, Some((name, text)))) => Ok(Found::Route(row.route, Some((name, decoded(text)?)))),
            None => Ok(Found::OtherMethods(found.iter().map(|(row, _)| row.method).collect())),
        }
    }
}

impl<R> Row<R> {
    /// What the path gives for the route's argument, if it is this route's.
    fn captured<'a>(&self, path: &'a str) -> Option<Option<(&'static str, &'a str)>> {
        let rest = path.strip_prefix(self.before)?;
        let Some(argument) = &self.argument else { return rest.is_empty().then_some(None) };
        let middle = rest.strip_suffix(argument.after)?;
        (argument.several || !middle.contains('/')).then_some(Some((argument.name, middle)))
    }
}

/// The route of a method and path under `/v1`.
///
/// # Errors
/// As [`Paths::find`].
pub(crate) fn find(method: &str, path: &str) -> Result<Found> {
    static PATHS: LazyLock<Paths<Route>> =
        LazyLock::new(|| Paths::new(ROUTES, |route| (route.method, route.path)));
    PATHS.find(method, path)
}

fn decoded(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    Ok(text.map_err(|_| Error::invalid("the path is not UTF-8 when percent-decoded"))?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_proto::OperationId;

    fn found(method: &str, path: &str) -> Option<(OperationId, Option<String>)> {
        match find(method, path).unwrap() {
            Found::Route(route, argument) => Some((route.operation, argument.map(|(_, value)| value))),
            Found::OtherMethods(_) | Found::Nothing => None,
        }
    }

    #[test]
    fn names_with_slashes() {
        let key = |name: &str| Some(name.to_owned());
        assert_eq!(found("GET", "/v1/kms/keys"), Some((OperationId::ListKeys, None)));
        assert_eq!(found("GET", "/v1/kms/keys/a/b"), Some((OperationId::ShowKey, key("a/b"))));
        assert_eq!(found("POST", "/v1/kms/keys/a/rotate"), Some((OperationId::RotateKey, key("a"))));
        assert_eq!(found("POST", "/v1/kms/keys/a%2Frotate"), Some((OperationId::CreateKey, key("a/rotate"))));
        assert_eq!(found("POST", "/v1/kms/keys/rotate"), Some((OperationId::CreateKey, key("rotate"))));
        assert_eq!(found("GET", "/v1/kms/keys/a/rotate"), None, "a word of a route is no part of a name");
        assert_eq!(found("GET", "/v1/kms/keys/a%2Frotate"), Some((OperationId::ShowKey, key("a/rotate"))));
        assert_eq!(found("POST", "/v1/sys/roots/test"), Some((OperationId::TestRoot, None)));
    }

    /// R59: what is decoded is decoded once, and nothing is normalised away.
    #[test]
    fn nothing_is_normalised() {
        let shown = |path: &str| found("GET", path).unwrap().1.unwrap();
        assert_eq!(shown("/v1/kms/keys/%252e%252e"), "%2e%2e");
        assert_eq!(shown("/v1/kms/keys/a/../b"), "a/../b");
        assert_eq!(shown("/v1/kms/keys/a//b"), "a//b");
        assert_eq!(shown("/v1/kms/keys/"), "");
        assert_eq!(found("GET", "/v1/KMS/keys"), None);
        assert_eq!(found("GET", "//v1/kms/keys"), None);
        assert!(find("GET", "/v1/kms/keys/%ff").is_err());
    }

    #[test]
    fn other_methods_are_told() {
        let Found::OtherMethods(methods) = find("PUT", "/v1/kms/encrypt/a").unwrap() else { panic!() };
        assert_eq!(methods, ["POST"]);
        assert!(matches!(find("GET", "/v2/kms/keys").unwrap(), Found::Nothing));
    }
}
