//! The guide: every command line in it is run as printed.

use std::process::Command;

use jam_test_servers::{Cluster, Kind, Server};

use crate::support::{Shell, text};

/// Runs every command line of the page in a folder, in order and in one shell. Servers have the addresses that are given
/// instead of those on the page.
fn run(page: &str, shell: &Shell, servers: &[(&str, &str)]) {
    let scripts = page.split("```sh\n").skip(1);
    let mut script: String = scripts.map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(
        script.lines().filter(|line| line.contains("jam ")).count() > 2,
        "the page has lost its command lines"
    );
    for (printed, here) in servers {
        assert!(script.contains(printed), "{printed}");
        script = script.replace(printed, here);
    }
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_jam"));
    let path = format!("{}:{}", text(program.parent().unwrap()), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-euxo", "pipefail", "-c", &script])
        .current_dir(shell.path(""))
        .env("PATH", path);
    bash.env_remove("JAM_CONFIG");
    let output = bash.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const REDIS: &str = "redis://127.0.0.1:6379";

#[test]
fn every_command_line_of_the_guide_to_the_command_runs_as_printed() {
    let server = Server::start(Kind::New);
    let page = include_str!("../../../docs/command.md");
    run(page, &Shell::new(), &[(REDIS, &server.url())]);
}

#[test]
fn every_command_line_of_the_first_steps_runs_as_printed() {
    run(include_str!("../../../docs/guide/first-steps.md"), &Shell::new(), &[]);
}

#[test]
fn every_command_line_on_the_way_from_a_file_to_a_cluster_runs_as_printed() {
    let (server, cluster) = (Server::start(Kind::New), Cluster::start(Kind::New));
    let page = include_str!("../../../docs/guide/moving.md");
    let cluster_url = cluster.url().replace("redis://", "redis+cluster://");
    let servers = [
        (REDIS, &*server.url()),
        ("redis+cluster://127.0.0.1:7000", &cluster_url),
    ];
    run(page, &Shell::new(), &servers);
}

#[test]
fn every_command_line_on_the_way_from_python_runs_as_printed() {
    let server = Server::start(Kind::New);
    let shell = Shell::new();
    let written_by_jamlib = include_str!("../../../jam-json/tests/golden/jamlib_sessions.json");
    shell.write("sessions.json", written_by_jamlib);
    let page = include_str!("../../../docs/guide/from-python.md");
    run(page, &shell, &[(REDIS, &server.url())]);
}

#[test]
fn the_guide_names_every_command_and_every_exit_code() {
    let guide = include_str!("../../../docs/command.md");
    let help = Shell::new().ok(&["--help"]);
    let commands = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("Options:")
        .next()
        .unwrap();
    let names = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()) {
        assert!(guide.contains(&format!("jam {name}")) || name == "help", "{name}");
    }
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 8, 130, 141] {
        assert!(guide.contains(&format!("| {code} |")), "{code}");
    }
}
