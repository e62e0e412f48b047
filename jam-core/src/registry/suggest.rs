//! "Did you mean": the known name that is nearest to a mistyped one.

use std::borrow::Cow;

/// The candidate that differs from `name` by the fewest edits, if it is near enough to be meant.
///
/// ```
/// use jam_core::did_you_mean;
///
/// assert_eq!(did_you_mean("jsn_path", &["json_path", "ttl"]), Some("json_path"));
/// assert_eq!(did_you_mean("colour", &["json_path", "ttl"]), None);
/// ```
pub fn did_you_mean<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let near = |candidate: &str| distance(name, candidate);
    let allowed = (name.chars().count() / 3).max(1);
    let best = candidates.iter().map(|candidate| (near(candidate), *candidate)).min()?;
    (best.0 <= allowed).then_some(best.1)
}

/// A name from a configuration for an error message. What looks like no name is not shown: with a misplaced `?` or
/// quote it may be a part of a password.
pub(crate) fn shown(name: &str) -> Cow<'_, str> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+');
    if !name.is_empty() && name.len() <= 40 && name.bytes().all(is_name) {
        Cow::Owned(format!("`{name}`"))
    } else {
        Cow::Borrowed("(not shown, since it looks like no name and may hold a secret)")
    }
}

/// The name of a field in the query of this URL, for an error message.
pub(crate) fn shown_of_url<'a>(url: &str, name: &'a str) -> Cow<'a, str> {
    if is_unclear(url) {
        Cow::Borrowed(
            "(not shown, since an `@` follows a `?` in the URL, and it may be a part of a password, where a `?` is written `%3F`)",
        )
    } else {
        shown(name)
    }
}

/// Whether an `@` follows the first `?` of a URL. One of them was to be percent-encoded then, and nobody can tell whether a password
/// goes on behind the `?`.
pub(crate) fn is_unclear(url: &str) -> bool {
    url.split_once('?').is_some_and(|(_, query)| query.contains('@'))
}

/// Edits between the two, ignoring case and the choice between `-` and `_`.
fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| {
        text.chars()
            .take(64)
            .collect::<String>()
            .to_lowercase()
            .replace('-', "_")
    };
    strsim::damerau_levenshtein(&fold(a), &fold(b))
}
