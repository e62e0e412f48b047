//! Watching what a server executes.

use jam_test_servers::{Kind, Line, Server};

#[test]
fn it_shows_each_command_once_and_those_of_scripts_apart() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        server.command(&["SET", "before", "1"]);
        let mut monitor = server.monitor();
        server.command(&["set", "a key", "1"]);
        server.command(&["EVAL", "return redis.call('GET', KEYS[1])", "1", "inner"]);
        let lines = monitor.lines_until_quiet();
        let (scripts, clients): (Vec<&Line>, Vec<&Line>) = lines.iter().partition(|line| line.in_script());
        assert_eq!(
            clients.iter().map(|line| line.name()).collect::<Vec<_>>(),
            ["SET", "EVAL"]
        );
        assert_eq!(clients[0].words(), ["set", "a key", "1"]);
        assert_eq!(scripts.len(), 1);
        assert_eq!(scripts[0].words(), ["GET", "inner"]);
        server.command(&["GET", "x"]);
        assert_eq!(monitor.client_commands(), ["GET"]);
        server.command(&["GET", "y"]);
        let last = monitor.stop();
        assert_eq!(
            last.iter().map(|line| line.words().join(" ")).collect::<Vec<_>>(),
            ["GET y"]
        );
    }
}

#[test]
fn the_end_of_the_server_is_the_end_of_the_lines() {
    let server = Server::start(Kind::New);
    let monitor = server.monitor();
    server.command(&["SET", "key", "1"]);
    server.kill();
    assert_eq!(monitor.stop().iter().map(Line::name).collect::<Vec<_>>(), ["SET"]);
}
