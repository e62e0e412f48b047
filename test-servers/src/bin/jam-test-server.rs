//! Starts one test server, by hand or for a test that kills its process: `jam-test-server new`. It prints the server's process
//! id, URL and directory, and ends it when its standard input closes. `jam-test-server chromedriver` does so with a browser.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

use std::env;
use std::io;
use std::process::ExitCode;

use jam_test_servers::{Chromedriver, Kind, Server};

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some("old") => serve(Kind::Old),
        Some("new") => serve(Kind::New),
        Some("chromedriver") => {
            let driver = Chromedriver::start();
            println!("{} {} {}", driver.pid(), driver.url(), driver.dir().display());
            wait();
        }
        _ => {
            eprintln!("usage: jam-test-server old|new|chromedriver");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn serve(kind: Kind) {
    let server = Server::start(kind);
    println!("{} {} {}", server.pid(), server.url(), server.dir().display());
    wait();
}

fn wait() {
    while io::stdin().read_line(&mut String::new()).is_ok_and(|length| length > 0) {}
}
