//! `jam doctor`: whether all is well, and what to do if not.

use jam_core::{Finding, Severity};
use serde_json::{Value, json};

use super::Done;
use super::failure::{Code, Failure};
use super::output::{self, Output, count};
use super::place;
use super::store::Chosen;
use crate::config::Access;

pub(super) async fn run(chosen: Chosen, output: Output) -> Done {
    let config = chosen.config()?.access(Access::Look);
    let survey = config.survey()?;
    let mut findings = vec![Finding::fine("store", place::of(&survey))];
    if config.holds_secrets()
        && let Some(file) = chosen.file()
    {
        findings.extend(Finding::of_file("config file", &file));
    }
    findings.push(survey.form.finding());
    for path in survey.form.key_files() {
        findings.extend(Finding::of_file("key file", path));
    }
    findings.extend(survey.of_cookie());
    if let Some(path) = place::is_missing(&survey) {
        survey.check_fields().await?;
        findings.push(Finding::wrong(
            "opening",
            format!("there is no store at {}", path.display()),
            "is the path right? If the service has never run, it will make one",
        ));
    } else {
        findings.extend(survey.diagnose().await?);
    }
    print(&findings, output)?;
    let wrong = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Wrong)
        .count() as u64;
    if wrong == 0 {
        return Ok(());
    }
    let is = if wrong == 1 { "is" } else { "are" };
    Err(Failure::new(
        Code::CheckFailed,
        format!("{} {is} wrong", count(wrong, "thing")),
    ))
}

fn print(findings: &[Finding], output: Output) -> Done {
    if output.is_json() {
        let finding = |finding: &Finding| {
            json!({
                "severity": finding.severity.to_string(),
                "subject": finding.subject,
                "found": finding.found,
                "advice": finding.advice,
            })
        };
        return output::print(&Value::Array(findings.iter().map(finding).collect()).to_string());
    }
    let mut rows = Vec::new();
    for finding in findings {
        let cells = [
            finding.severity.to_string(),
            finding.subject.to_string(),
            finding.found.to_string(),
        ];
        rows.push(cells.to_vec());
        rows.extend(
            finding
                .advice
                .iter()
                .map(|advice| vec![String::new(), String::new(), format!("-> {advice}")]),
        );
    }
    output::print(&output::table(&["", "WHAT", "FOUND"], &rows))
}
