//! The table.

use std::collections::BTreeMap;

use crate::Settings;
use crate::contestant::Operation;

/// Operations per second, turn by turn.
#[derive(Default)]
pub(crate) struct Results(BTreeMap<Operation, Vec<(&'static str, Vec<f64>)>>);

impl Results {
    pub(crate) fn add(&mut self, operation: Operation, name: &'static str, rate: f64) {
        let of_operation = self.0.entry(operation).or_default();
        match of_operation.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rates)) => rates.push(rate),
            None => of_operation.push((name, vec![rate])),
        }
    }

    pub(crate) fn print(&self, settings: Settings, tasks: usize) {
        println!("\n{settings:?}, {tasks} task(s)\n");
        println!("| operation | of | per second | jam's rate over it | spread |");
        println!("|---|---|---|---|---|");
        for (operation, contestants) in &self.0 {
            let jam = &contestants
                .iter()
                .find(|(name, _)| *name == "jam")
                .expect("jam takes part")
                .1;
            let mut sorted: Vec<_> = contestants.iter().collect();
            sorted.sort_by_key(|(name, _)| (*name != "jam", *name));
            for (name, rates) in sorted {
                let mut ratios: Vec<_> = jam.iter().zip(rates).map(|(jam, rate)| jam / rate).collect();
                ratios.sort_by(f64::total_cmp);
                println!(
                    "| {operation:?} | {name} | {:.0} | {:.2} | {:.2} to {:.2} |",
                    median(rates),
                    median(jam) / median(rates),
                    ratios[0],
                    ratios[ratios.len() - 1],
                );
            }
        }
    }
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
