//! "Your devices": a small website on sessions, to click through, to read and to build on.
//!
//! ```sh
//! cargo run --example axum_devices                                # SQLite, in axum_devices.db
//! cargo run --example axum_devices json:sessions.json             # one readable JSON file
//! cargo run --example axum_devices redis://localhost              # Redis or Valkey; stop and start it meanwhile
//! cargo run --example axum_devices examples/jam.toml              # whatever the config file says
//! cargo run --example axum_devices memory: 127.0.0.1:8080         # on another address
//! ```
//!
//! `app` puts the site together, `actions` says what each address does, `pages` what it looks like; `visit` is what a session
//! holds. Everything is plain HTML; there is no script.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example talks to whoever runs it")]

mod accounts;
mod actions;
mod app;
mod browser;
mod pages;
mod times;
mod visit;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use jam::Config;
use jam::tower::CookieConfig;
use tokio::net::TcpListener;

/// A session ends after an hour without use and after 30 days in any case; a new id replaces the old one with half a minute
/// of grace.
const STORE: &str = "sqlite:axum_devices.db?ttl=3600&max_lifetime=2592000&grace=30";
const ADDRESS: &str = "127.0.0.1:3000";

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let store = arguments.next().unwrap_or_else(|| STORE.to_owned());
    let address = arguments.next().unwrap_or_else(|| ADDRESS.to_owned());
    let Err(error) = serve(&store, &address).await else {
        return ExitCode::SUCCESS;
    };
    println!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        println!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::FAILURE
}

async fn serve(store: &str, address: &str) -> Result<(), Box<dyn Error>> {
    let mut config = Config::from_url_or_file(store)?.web().await?;
    if !Path::new(store).is_file() {
        // A URL says nothing of cookies, and the demo is served over http, on this machine alone. A real site has no such line:
        // the cookie is then `__Host-session` and travels over https only.
        config = config.cookie(CookieConfig::new().insecure_for_development(true));
    }
    let sessions = config.sessions().clone();
    let sweeper = jam::spawn_sweeper(&sessions, Duration::from_mins(10));
    let app = app::app(config)?;
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);

    axum::serve(listener, app)
        .with_graceful_shutdown(async {
            // Where there is no such signal the server runs until it is killed, which harms no session.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await?;
    sweeper.abort();
    sessions.close().await?;
    Ok(())
}
