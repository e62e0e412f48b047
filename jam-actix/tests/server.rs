//! What only a real server shows: answers that leave a middleware as errors.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use actix_web::{App, HttpServer, web};
use jam_actix::{CrossOriginMiddleware, Session, SessionMiddleware};
use jam_core::{MemoryStore, Sessions};

async fn panics(session: Session) -> String {
    session.login("user1").await.unwrap();
    panic!("a bug");
}

/// Sends a request and gives the whole answer.
fn send(to: SocketAddr, request_line: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    write!(
        stream,
        "{request_line} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n{headers}\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[actix_web::test]
async fn a_panic_reaches_the_client_as_a_500_with_the_cookie_of_the_login() {
    let middleware = SessionMiddleware::new(Sessions::new(MemoryStore::new()));
    let server = HttpServer::new(move || {
        let app = App::new().wrap(middleware.clone()).wrap(CrossOriginMiddleware::new());
        app.route("/panic", web::post().to(panics))
    });
    let server = server.workers(1).bind("127.0.0.1:0").unwrap();
    let to = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let answers = web::block(move || {
        let origin = format!("origin: http://{to}\r\n");
        [
            send(to, "POST /panic", &origin),
            send(to, "POST /panic", "origin: http://evil.example\r\n"),
            // A target in absolute form goes before `Host`.
            send(to, "POST http://evil.example/panic", &origin),
        ]
    });
    let [panicked, refused, elsewhere] = answers.await.unwrap();
    assert!(panicked.starts_with("HTTP/1.1 500 "), "{panicked}");
    assert!(panicked.contains("set-cookie: __Host-session="), "{panicked}");
    assert!(panicked.contains("cache-control: no-store"), "{panicked}");
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    assert!(elsewhere.starts_with("HTTP/1.1 403 "), "{elsewhere}");
    handle.stop(true).await;
}
