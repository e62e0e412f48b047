//! Starts one test server, by hand or for a test that kills its process: `jam-test-server new`. It prints the server's process
//! id, URL and directory, and ends it when its standard input closes.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

use std::env;
use std::io;
use std::process::ExitCode;

use jam_test_servers::{Kind, Server};

fn main() -> ExitCode {
    let kind = match env::args().nth(1).as_deref() {
        Some("old") => Kind::Old,
        Some("new") => Kind::New,
        _ => {
            eprintln!("usage: jam-test-server old|new");
            return ExitCode::FAILURE;
        }
    };
    let server = Server::start(kind);
    println!("{} {} {}", server.pid(), server.url(), server.dir().display());
    while io::stdin().read_line(&mut String::new()).is_ok_and(|length| length > 0) {}
    ExitCode::SUCCESS
}
