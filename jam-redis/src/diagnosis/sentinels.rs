//! Whether the sentinels of a URL are there, agree, and could fail over.

use jam_core::{Error, ErrorKind, Finding};

use crate::connect::Watch;

const SUBJECT: &str = "sentinels";

/// What each sentinel of the URL said, or why it did not.
pub(super) fn judge(watch: &[Result<Watch, Error>]) -> Vec<Finding> {
    let all = watch.len();
    let there: Vec<_> = watch.iter().flatten().collect();
    let failed: Vec<_> = watch.iter().filter_map(|watch| watch.as_ref().err()).collect();
    // What is wrong with the settings is wrong whoever else answers.
    let wrong = |error: &&&Error| there.is_empty() || error.kind() != ErrorKind::Unavailable;
    if let Some(error) = failed.iter().find(wrong) {
        return vec![Finding::error(SUBJECT, error)];
    }
    let mut findings = Vec::new();
    if !failed.is_empty() {
        findings.push(Finding::warning(
            SUBJECT,
            format!("{} of the {all} in the URL do not answer", failed.len()),
            "start them, or name those that there are",
        ));
    }
    let strangers = there.iter().filter(|watch| watch.primary.is_none()).count();
    if strangers > 0 {
        findings.push(Finding::wrong(
            SUBJECT,
            format!("{strangers} of the {all} in the URL do not know the service"),
            "is it the name that `sentinel monitor` gives it?",
        ));
    }
    let mut primaries: Vec<_> = there.iter().filter_map(|watch| watch.primary.as_ref()).collect();
    primaries.sort();
    primaries.dedup();
    if primaries.len() > 1 {
        findings.push(Finding::warning(
            SUBJECT,
            format!("they name {} different primaries", primaries.len()),
            "a failover is under way, or one of them is cut off from the others: run this again",
        ));
    }
    if there.iter().any(|watch| watch.calls_it_down) {
        findings.push(Finding::wrong(
            SUBJECT,
            "they agree that the primary is down",
            "wait for the failover, or start the primary",
        ));
    }
    if there.iter().any(|watch| watch.quorum == Some(false)) {
        findings.push(Finding::wrong(
            SUBJECT,
            "too few of them are up to agree on a failover: a primary that goes stays away",
            "start the other sentinels",
        ));
    }
    let others = there.iter().map(|watch| watch.others).max().unwrap_or_default();
    if all == 1 && others > 0 {
        findings.push(Finding::warning(
            SUBJECT,
            format!(
                "the URL names one of the {}: while it is away, nobody can connect",
                others + 1
            ),
            "name them all: `redis+sentinel://host1,host2,host3/service`",
        ));
    }
    if findings.is_empty() {
        let same = if all == 1 {
            "it names"
        } else {
            "all answer, and name the same"
        };
        findings.push(Finding::fine(SUBJECT, format!("{all} in the URL; {same} primary")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use jam_core::Severity::{self, Fine, Warning, Wrong};

    fn well() -> Watch {
        Watch {
            primary: Some(("a".to_owned(), 6379)),
            quorum: Some(true),
            calls_it_down: false,
            others: 2,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as `judge` takes it")]
    fn with(change: impl Fn(&mut Watch)) -> Result<Watch, Error> {
        let mut watch = well();
        change(&mut watch);
        Ok(watch)
    }

    fn away() -> Result<Watch, Error> {
        Err(Error::new(ErrorKind::Unavailable, "no connection"))
    }

    fn only(watch: &[Result<Watch, Error>]) -> (Severity, String) {
        let findings = judge(watch);
        assert_eq!(findings.len(), 1, "{findings:?}");
        (findings[0].severity, findings[0].found.to_string())
    }

    #[test]
    fn each_trouble_of_sentinels_is_told_with_its_weight() {
        for (watch, severity, words) in [
            ([Ok(well()), Ok(well()), Ok(well())], Fine, "3 in the URL; all answer"),
            ([Ok(well()), away(), Ok(well())], Warning, "1 of the 3"),
            ([away(), away(), away()], Wrong, "no connection"),
            (
                [
                    Ok(well()),
                    with(|watch| watch.primary = Some(("b".to_owned(), 1))),
                    Ok(well()),
                ],
                Warning,
                "2 different primaries",
            ),
            (
                [Ok(well()), with(|watch| watch.primary = None), Ok(well())],
                Wrong,
                "1 of the 3 in the URL do not know",
            ),
            (
                [Ok(well()), with(|watch| watch.calls_it_down = true), Ok(well())],
                Wrong,
                "primary is down",
            ),
            (
                [Ok(well()), Ok(well()), with(|watch| watch.quorum = Some(false))],
                Wrong,
                "too few",
            ),
            (
                [Ok(well()), Ok(well()), Err(Error::new(ErrorKind::Config, "password"))],
                Wrong,
                "password",
            ),
            // Who may not ask about the quorum has no reason for alarm.
            ([Ok(well()), Ok(well()), with(|watch| watch.quorum = None)], Fine, ""),
        ] {
            let (found, text) = only(&watch);
            assert_eq!(found, severity, "{text}");
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(only(&[Ok(well())]).0, Warning, "one of three");
        assert_eq!(only(&[with(|watch| watch.others = 0)]).0, Fine, "the only one there is");
    }
}
