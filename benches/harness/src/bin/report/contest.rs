//! What contestants did in turns, and what of it a table shows.

use std::collections::BTreeSet;

use jam_bench_harness::{Failure, Kind, Measured, Row, median};
use serde_json::Value;

use crate::machine::version_of;
use crate::page::{row, rule};

/// One part, at one number of tasks.
pub(crate) struct Contest {
    tasks: u64,
    server: Option<String>,
    in_nanos: bool,
    is_growth: bool,
    rows: Vec<Row>,
}

/// A rate over another, turn by turn.
#[derive(Clone, Copy)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    lowest: f64,
    highest: f64,
}

impl Ratio {
    fn of(one: &Measured, other: &Measured) -> Self {
        let ratios = one.rates.iter().zip(&other.rates).map(|(one, other)| one / other);
        let mut ratios: Vec<f64> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        Self {
            median: median(ratios.clone()),
            lowest: ratios.first().copied().unwrap_or(f64::NAN),
            highest: ratios.last().copied().unwrap_or(f64::NAN),
        }
    }

    /// With the spread beside it.
    pub(crate) fn show(self) -> String {
        format!(
            "{} ({} to {})",
            figure(self.median),
            figure(self.lowest),
            figure(self.highest)
        )
    }
}

/// With two digits that count, or more.
pub(crate) fn figure(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => grouped(value),
    }
}

/// 1,234,567
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Contest {
    pub(crate) fn of(lines: &[Value]) -> Result<Self, Failure> {
        let (head, rows) = lines.split_first().ok_or("an empty file of results")?;
        Ok(Self {
            tasks: head["tasks"].as_u64().unwrap_or_default(),
            server: head["server"].as_str().map(str::to_owned),
            in_nanos: head["unit"] == "ns",
            is_growth: head["part"].as_str().is_some_and(|name| name.starts_with("growth")),
            rows: rows
                .iter()
                .map(|row| serde_json::from_value(row.clone()))
                .collect::<Result<_, _>>()?,
        })
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.about.kind == kind)
    }

    fn measured<'r>(row: &'r Row, operation: &str) -> Option<&'r Measured> {
        row.measured.iter().find(|measured| measured.operation == operation)
    }

    fn named(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.about.name == name)
    }

    /// How one does beside another.
    pub(crate) fn ratio(&self, one: &str, other: &str, operation: &str) -> Option<Ratio> {
        let one = Self::measured(self.named(one)?, operation)?;
        Some(Ratio::of(one, Self::measured(self.named(other)?, operation)?))
    }

    /// How one does beside the fastest peer whose name begins like this, and who that is.
    pub(crate) fn ratio_to_best(&self, one: &str, prefix: &str, operation: &str) -> Option<(Ratio, &str)> {
        let peers = self
            .of_kind(Kind::Peer)
            .filter(|row| row.about.name.starts_with(prefix));
        let able = peers.filter_map(|row| Some((row, Self::measured(row, operation)?)));
        let (best, _) = able.max_by(|(_, one), (_, other)| one.rate().total_cmp(&other.rate()))?;
        Some((self.ratio(one, &best.about.name, operation)?, &best.about.name))
    }

    /// Who takes part, and the table.
    pub(crate) fn show(&self) -> Result<String, Failure> {
        if self.is_growth {
            return Ok(self.show_across());
        }
        let tasks = match self.tasks {
            _ if self.in_nanos => "one request after another, beyond the bare handler".to_owned(),
            1 => "1 task, on one core".to_owned(),
            tasks => format!("{tasks} tasks"),
        };
        let mut text = format!(
            "**{tasks}**{}\n\n",
            self.server
                .as_ref()
                .map(|server| format!(", {server}"))
                .unwrap_or_default()
        );
        if self.tasks != 1 || self.in_nanos {
            for Row { about, .. } in &self.rows {
                let version = match &about.package {
                    Some(package) => format!(" {}", version_of(package)?),
                    None => String::new(),
                };
                text += &["- **", &about.name, "**", &version, ": ", &about.settings, "\n"].concat();
            }
            text.push('\n');
        }
        let jams: Vec<&Row> = self.of_kind(Kind::Jam).collect();
        let unit = if self.in_nanos {
            vec!["ns a request"]
        } else {
            vec!["a second", "p50 µs", "p99 µs"]
        };
        let mut columns: Vec<String> = vec![
            if self.in_nanos { "a handler that" } else { "operation" }.into(),
            "who".into(),
        ];
        columns.extend(unit.iter().map(|&unit| unit.to_owned()));
        columns.extend(jams.iter().map(|jam| format!("{}'s rate over theirs", jam.about.name)));
        text += &row(&columns);
        text += &rule(2, columns.len() - 2);
        for operation in self.operations() {
            for contestant in &self.rows {
                let Some(measured) = Self::measured(contestant, operation) else {
                    continue;
                };
                let mut cells = vec![operation.to_owned(), contestant.about.name.clone()];
                if self.in_nanos {
                    cells.push(grouped(1e9 / measured.rate()));
                } else {
                    cells.push(grouped(measured.rate()));
                    let micros = |value: Option<f64>| value.map_or_else(|| "-".into(), figure);
                    cells.extend([micros(measured.p50), micros(measured.p99)]);
                }
                for jam in &jams {
                    let own = jam.about.name == contestant.about.name;
                    let ratio = self
                        .ratio(&jam.about.name, &contestant.about.name, operation)
                        .filter(|_| !own);
                    cells.push(ratio.map_or_else(String::new, Ratio::show));
                }
                text += &row(&cells);
            }
        }
        let lacking = self.rows.iter().filter_map(|contestant| self.lacking(contestant));
        let lacking: Vec<String> = lacking.collect();
        if !lacking.is_empty() {
            text += &["\nNot there: ", &lacking.join("; "), ".\n"].concat();
        }
        Ok(text)
    }

    /// One size beside the other.
    fn show_across(&self) -> String {
        let names: Vec<&str> = self.rows.iter().map(|row| row.about.name.as_str()).collect();
        let (Some(first), Some(last)) = (names.first(), names.last()) else {
            return String::new();
        };
        let mut columns = vec!["operations a second".to_owned()];
        columns.extend(names.iter().map(|&name| name.to_owned()));
        columns.push(format!("cost at {last} over that at {first}"));
        let mut text = row(&columns) + &rule(1, columns.len() - 1);
        for operation in self.operations() {
            let mut cells = vec![operation.to_owned()];
            let rates = self.rows.iter().map(|row| Self::measured(row, operation));
            cells
                .extend(rates.map(|measured| measured.map_or_else(|| "-".into(), |measured| grouped(measured.rate()))));
            cells.push(self.ratio(first, last, operation).map_or_else(String::new, Ratio::show));
            text += &row(&cells);
        }
        text
    }

    /// In the order of the first who has all of them.
    fn operations(&self) -> Vec<&str> {
        let most = self.rows.iter().max_by_key(|row| row.measured.len());
        most.into_iter()
            .flat_map(|row| &row.measured)
            .map(|measured| measured.operation.as_str())
            .collect()
    }

    fn lacking(&self, contestant: &Row) -> Option<String> {
        let has: BTreeSet<&str> = contestant
            .measured
            .iter()
            .map(|measured| measured.operation.as_str())
            .collect();
        let lacks: Vec<&str> = self
            .operations()
            .into_iter()
            .filter(|name| !has.contains(name))
            .collect();
        (!lacks.is_empty()).then(|| format!("{} with {}", lacks.join(", "), contestant.about.name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Contest;

    fn contest() -> Result<Contest, jam_bench_harness::Failure> {
        let row = |name: &str, kind: &str, rates: [f64; 3]| -> Value {
            let measured = json!([{"operation": "get", "rates": rates, "p50": 1.0, "p99": 2.0}]);
            json!({"name": name, "kind": kind, "settings": "", "package": null, "measured": measured})
        };
        Contest::of(&[
            json!({"part": "memory", "tasks": 64}),
            row("jam", "jam", [100.0, 10.0, 100.0]),
            row("slow", "peer", [50.0, 5.0, 10.0]),
            row("fast", "peer", [200.0, 20.0, 50.0]),
        ])
    }

    #[test]
    fn a_turn_that_was_slow_for_all_changes_no_ratio() -> Result<(), jam_bench_harness::Failure> {
        let ratio = contest()?.ratio("jam", "slow", "get").ok_or("none")?;
        assert_eq!(ratio.show(), "2.00 (2.00 to 10.0)");
        Ok(())
    }

    #[test]
    fn the_best_peer_is_the_fastest_one() -> Result<(), jam_bench_harness::Failure> {
        let contest = contest()?;
        let (ratio, who) = contest.ratio_to_best("jam", "", "get").ok_or("none")?;
        assert_eq!((ratio.show().as_str(), who), ("0.50 (0.50 to 2.00)", "fast"));
        assert!(contest.ratio_to_best("jam", "", "list").is_none());
        Ok(())
    }
}
