//! From a request's path to its route.
//!
//! A path is taken apart at its slashes first, and what stands for an argument is percent-decoded once, afterwards (RFC
//! 3986, section 2.4). So a name may hold slashes; one that ends as a route does, as `a/rotate`, is asked for with `%2F`.
//! Nothing else is normalised: `.`, `..` and empty segments are left to the rules of names, which refuse them.

use super::routes::{ROUTES, Route};
use canis_proto::{Error, Result};
use percent_encoding::percent_decode_str;

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

/// The route of a method and path; of a path that several routes fit, whatever their methods, those with the most words of
/// their own count.
///
/// # Errors
/// `invalid_argument` if what stands for an argument is not UTF-8.
pub(crate) fn find(method: &str, path: &str) -> Result<Found> {
    find_among(ROUTES, |route| (route.method, route.path), method, path)
}

/// The same in another table, whose rows have methods and paths.
///
/// # Errors
/// As [`find`].
pub(crate) fn find_among<R>(
    rows: &'static [R],
    of: impl Fn(&R) -> (&'static str, &'static str),
    method: &str,
    path: &str,
) -> Result<Found<R>> {
    let segments: Vec<&str> = path.split('/').collect();
    let near = rows.iter().filter(|row| begins(of(row).1, path));
    let mut found: Vec<_> =
        near.filter_map(|row| captured(of(row).1, &segments).map(|part| (row, part))).collect();
    let words = |row: &R| of(row).1.split('/').filter(|part| placeholder(part).is_none()).count();
    let Some(most) = found.iter().map(|(row, _)| words(row)).max() else { return Ok(Found::Nothing) };
    found.retain(|(row, _)| words(row) == most);
    match found.iter().find(|(row, _)| of(row).0 == method) {
        Some((row, None)) => Ok(Found::Route(row, None)),
        Some((row, Some((name, text)))) => Ok(Found::Route(row, Some((name, decoded(text)?)))),
        None => Ok(Found::OtherMethods(found.iter().map(|(row, _)| of(row).0).collect())),
    }
}

/// Whether a path begins as a route does up to its placeholder, so that few routes need be taken apart.
fn begins(route: &str, path: &str) -> bool {
    match route.find('{') {
        Some(at) => path.starts_with(&route[..at]),
        None => path == route,
    }
}

type Captured = Option<(&'static str, String)>;

/// What the path gives for the route's placeholder, if it is this route's.
fn captured(route: &'static str, segments: &[&str]) -> Option<Captured> {
    let parts: Vec<&'static str> = route.split('/').collect();
    let Some(at) = parts.iter().position(|part| placeholder(part).is_some()) else {
        return (parts == segments).then_some(None);
    };
    let (before, after) = (&parts[..at], &parts[at + 1..]);
    let middle = segments.strip_prefix(before)?.strip_suffix(after)?;
    let name = placeholder(parts[at])?;
    // Ids of slots and labels of tokens hold no slashes.
    let several = !matches!(name, "slot" | "token");
    (middle.len() == 1 || several && middle.len() > 1).then(|| Some((name, middle.join("/"))))
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
