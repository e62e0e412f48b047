//! The guide to the command: every line in it is run as printed.

use std::process::Command;

use jam_test_servers::{Kind, Server};

use crate::support::{Shell, text};

#[test]
fn every_command_line_of_the_guide_runs_as_printed() {
    let guide = include_str!("../../../docs/command.md");
    let server = Server::start(Kind::New);
    let scripts: Vec<_> = guide
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(scripts.len() > 5, "the guide has lost its command lines");
    let script = scripts.concat().replace("redis://127.0.0.1:6379", &server.url());

    let shell = Shell::new();
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
