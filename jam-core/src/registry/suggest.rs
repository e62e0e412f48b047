//! "Did you mean": the known name that is nearest to a mistyped one.

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
