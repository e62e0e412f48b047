//! Writes what was measured into `docs/performance.md`, between the marks that are there; what was not measured stays as it is.
#![forbid(unsafe_code)]

mod contest;
mod goals;
mod machine;
mod page;

use jam_bench_harness::{Failure, read_lines};

use self::contest::Contest;

/// The page, from the root of the repository.
const PAGE: &str = "docs/performance.md";

fn main() -> Result<(), Failure> {
    let mut page = std::fs::read_to_string(PAGE)?;
    for name in page::marks(&page) {
        let new = match name.as_str() {
            "machine" => Some(machine::describe()?),
            "goals" => Some(goals::table(page::between(&page, "goals").unwrap_or_default())?),
            name => match read_lines(name)? {
                Some(lines) if lines.first().is_some_and(|head| head["columns"].is_array()) => {
                    Some(page::plain(&lines))
                }
                Some(lines) => Some(Contest::of(&lines)?.show()?),
                None => None,
            },
        };
        if let Some(new) = new {
            page = page::replaced(&page, &name, &new);
        }
    }
    Ok(std::fs::write(PAGE, page)?)
}
