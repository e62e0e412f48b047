//! How long a JSON file with a million sessions takes to open: at rest, and after a crash, when all of it is in the journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use jam_bench_harness::{Failure, median, write_table};
use jam_core::{Durability, Sessions};
use jam_json::JsonFile;
use tempfile::TempDir;

use crate::backends::fill;

const SESSIONS: usize = 1_000_000;
const TURNS: usize = 5;

async fn file(path: &Path) -> Result<Sessions, Failure> {
    let options = JsonFile::options(path).durability(Durability::Os);
    Ok(Sessions::new(options.open().await?))
}

/// In a process of its own: fills the file, and then closes it or crashes.
pub(crate) async fn filled(path: &str, crashes: bool) -> Result<(), Failure> {
    let sessions = file(path.as_ref()).await?;
    fill(&sessions, SESSIONS).await?;
    if crashes {
        std::process::abort();
    }
    Ok(sessions.close().await?)
}

/// In a process of its own: prints the seconds that it takes to open it.
pub(crate) async fn open(path: &str) -> Result<(), Failure> {
    let start = Instant::now();
    let sessions = file(path.as_ref()).await?;
    println!("{}", start.elapsed().as_secs_f64());
    // Not closed: the next one is to find the same.
    drop(sessions);
    std::process::exit(0);
}

/// The files that belong to it.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    Ok(fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?)
}

/// Without what the system remembers of the files; `None` where it may not be told to forget.
fn forget() -> Option<()> {
    Command::new("sync").status().ok()?;
    fs::write("/proc/sys/vm/drop_caches", "1").ok()
}

pub(crate) fn measure() -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (title, crashes) in [("at rest", false), ("after a crash, all of it in the journal", true)] {
        let directory = TempDir::new_in("target")?;
        let path = directory.path().join("sessions.json");
        let name = path.to_string_lossy().into_owned();
        let filled = Command::new(std::env::current_exe()?)
            .args([if crashes { "opening-crashed" } else { "opening-filled" }, &name])
            .status()?;
        if filled.success() == crashes {
            return Err("filling has failed".into());
        }
        let bytes: u64 = files(directory.path())?
            .iter()
            .filter_map(|path| Some(fs::metadata(path).ok()?.len()))
            .sum();
        // Opening may tidy up, so each opens a copy.
        let copies = directory.path().join("copy");
        let mut seconds = [Vec::new(), Vec::new()];
        for turn in 0..=TURNS {
            for (cold, seconds) in seconds.iter_mut().enumerate() {
                let _ = fs::remove_dir_all(&copies);
                fs::create_dir(&copies)?;
                for file in files(directory.path())?.iter().filter(|path| path.is_file()) {
                    fs::copy(file, copies.join(file.file_name().ok_or("no name")?))?;
                }
                if cold == 1 && forget().is_none() {
                    continue;
                }
                let copy = copies.join("sessions.json").to_string_lossy().into_owned();
                let output = Command::new(std::env::current_exe()?)
                    .args(["opening-opened", &copy])
                    .output()?;
                let took: f64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
                if turn > 0 {
                    seconds.push(took);
                }
            }
        }
        let shown = |mut seconds: Vec<f64>| {
            seconds.sort_by(f64::total_cmp);
            match (seconds.first(), seconds.last()) {
                (Some(least), Some(most)) => format!("{:.2} s ({least:.2} to {most:.2})", median(seconds.clone())),
                _ => "not measured: needs root".to_owned(),
            }
        };
        let [warm, cold] = seconds;
        rows.push(vec![
            title.to_owned(),
            format!("{} MiB", bytes >> 20),
            shown(warm),
            shown(cold),
        ]);
    }
    write_table(
        "opening",
        &[
            "JSON file with 1,000,000 sessions",
            "size",
            "opened, in the system's cache",
            "opened, from the disk",
        ],
        &rows,
    )
}
