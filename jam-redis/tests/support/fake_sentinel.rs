//! A sentinel that says what the test wants it to say.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A sentinel that names this server, whoever asks, and at once. While the lock is held, it is silent.
pub(crate) fn stubborn(named: &Arc<Mutex<SocketAddr>>) -> SocketAddr {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap();
    let named = Arc::clone(named);
    thread::spawn(move || {
        for client in door.incoming() {
            let named = Arc::clone(&named);
            thread::spawn(move || converse(&client.unwrap(), &named));
        }
    });
    address
}

fn converse(mut client: &TcpStream, named: &Mutex<SocketAddr>) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    while let Some(head) = lines.next() {
        let words: usize = head?.trim_start_matches('*').parse().unwrap();
        // Each word stands behind a line with its length.
        let words: Vec<_> = lines
            .by_ref()
            .take(2 * words)
            .skip(1)
            .step_by(2)
            .collect::<Result<_, _>>()?;
        if words[0] == "SENTINEL" {
            let named = *named.lock().unwrap();
            let (ip, port) = (named.ip().to_string(), named.port().to_string());
            write!(client, "*2\r\n${}\r\n{ip}\r\n${}\r\n{port}\r\n", ip.len(), port.len())?;
        } else {
            write!(client, "+OK\r\n")?;
        }
    }
    Ok(())
}
