//! What it was measured on, and the versions of everything.

use std::fs;
use std::process::Command;

use jam_bench_harness::Failure;

/// The lock files of those who take part, from the root of the repository.
const LOCKS: [&str; 2] = ["benches/peers/Cargo.lock", "benches/sqlite/Cargo.lock"];

/// In Python's directories of packages.
const PYTHON: [&str; 2] = ["target/test-python", "target/bench-python"];

/// All versions of a package that take part.
pub(crate) fn version_of(package: &str) -> Result<String, Failure> {
    if package == "tower-sessions" {
        return version_of("tower-sessions-memory-store");
    }
    let mut versions = Vec::new();
    for lock in LOCKS {
        let lock = fs::read_to_string(lock)?;
        let of_package = lock
            .split("[[package]]")
            .filter(|part| part.contains(&format!("name = \"{package}\"\n")));
        versions.extend(
            of_package.filter_map(|part| Some(part.split("version = \"").nth(1)?.split('"').next()?.to_owned())),
        );
    }
    for directory in PYTHON {
        let names = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        versions.extend(names.filter_map(|name| {
            let (found, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
            found.eq_ignore_ascii_case(package).then(|| version.to_owned())
        }));
    }
    versions.sort();
    versions.dedup();
    Ok(versions.join(" and "))
}

fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// Cores, kernel, file systems, compilers.
pub(crate) fn describe() -> Result<String, Failure> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib = memory.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    });
    let fs_of = |path: &str| printed("stat", &["--file-system", "--format=%T", path]);
    let rustc = printed("rustc", &["--version"]);
    let rustc = rustc.split(" (").next().unwrap_or_default().to_owned();
    Ok(format!(
        "{cores} cores ({}), {} GiB of memory, Linux {}; synced files on {}, others on {}; {rustc}, `--release`; {}.",
        model.map_or("unknown", |(_, model)| model),
        (kib.unwrap_or_default() + (1 << 19)) >> 20,
        printed("uname", &["--kernel-release"])
            .split('-')
            .next()
            .unwrap_or_default(),
        fs_of("target").replace("ext2/ext3", "ext4"),
        fs_of("/dev/shm"),
        printed("python3", &["--version"]),
    ))
}
