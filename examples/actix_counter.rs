//! A counter of one's own, in actix-web: open it in two tabs, press as fast as you like, and no step is lost.
//!
//! ```sh
//! cargo run --example actix_counter                          # one JSON file, counter.json, on http://127.0.0.1:8080
//! cargo run --example actix_counter sqlite:counter.db        # SQLite
//! cargo run --example actix_counter redis://localhost        # Redis or Valkey
//! cargo run --example actix_counter examples/jam.toml        # whatever the config file says
//! cargo run --example actix_counter memory: 127.0.0.1:9000   # another address
//! ```
#![expect(clippy::print_stdout, reason = "the example talks to whoever runs it")]

use actix_web::http::header;
use actix_web::web::{Form, Html, get, post};
use actix_web::{App, HttpResponse, HttpServer, web};
use jam::actix::{CookieConfig, CrossOriginMiddleware, MaybeUser, Result, Session, SessionConfig, SessionMiddleware};
use serde_json::Value;

const DEFAULT_STORE: &str = "json:counter.json";
/// What session keys of users begin with, so that nobody's name can be anything else.
const USER: &str = "user:";
const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

/// The page. A visitor who never presses the button gets no session and no cookie.
async fn page(session: Session, MaybeUser(user): MaybeUser) -> Result<Html> {
    let count = session.get::<u64>("count").await?.unwrap_or(0);
    let who = match user {
        Some(name) => format!(
            r#"<form method="post" action="/logout">You are <b>{}</b>. <button>Sign out</button></form>"#,
            escape(name.as_str().strip_prefix(USER).unwrap_or_default())
        ),
        None => {
            r#"<form method="post" action="/login"><input name="name" placeholder="Your name" maxlength="50" required>
            <button>Sign in</button></form>"#
                .to_owned()
        }
    };
    Ok(Html::new(format!(
        r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>{count}</title>
<meta name="viewport" content="width=device-width"><style>
body {{ font: 1.1rem system-ui; max-width: 30rem; margin: 15vh auto; text-align: center; color-scheme: light dark }}
output {{ display: block; font-size: 6rem; font-variant-numeric: tabular-nums }}
button, input {{ font: inherit; padding: .4em 1em }}
</style><output>{count}</output><form method="post" action="/raise"><button autofocus>One more</button></form>{who}</html>"#
    )))
}

/// `modify` reads and writes in one step, so two tabs at once both count.
async fn raise(session: Session) -> Result<HttpResponse> {
    let raise = |data: &mut jam::Data| {
        let count = data.get("count").and_then(Value::as_u64).unwrap_or(0);
        data.insert("count".to_owned(), (count + 1).into());
    };
    session.modify(raise).await?;
    Ok(home())
}

#[derive(serde::Deserialize)]
struct Login {
    name: String,
}

/// Another key, a new id: one that was planted before is worthless now. The count of the visitor goes along. A real
/// application checks a password first.
async fn login(session: Session, Form(login): Form<Login>) -> Result<HttpResponse> {
    session.login(format!("{USER}{}", login.name)).await?;
    Ok(home())
}

async fn logout(session: Session) -> Result<HttpResponse> {
    session.logout().await?;
    Ok(home())
}

fn home() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, "/")).finish()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn routes(app: &mut web::ServiceConfig) {
    app.route("/", get().to(page))
        .route("/raise", post().to(raise))
        .route("/login", post().to(login))
        .route("/logout", post().to(logout));
}

/// A config file says how the cookie is; without one it is for http, which is what this example speaks.
async fn configure(store: &str) -> jam::Result<SessionConfig> {
    let builder = jam::Config::from_url_or_file(store)?.web().await?;
    let of_file = std::path::Path::new(store).is_file();
    let for_http = CookieConfig::new().insecure_for_development(true);
    if of_file { builder } else { builder.cookie(for_http) }.build()
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let store = arguments.next().unwrap_or_else(|| DEFAULT_STORE.to_owned());
    let address = arguments.next().unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    let config = configure(&store).await.map_err(std::io::Error::other)?;
    let manager = config.sessions().clone();
    let sessions = SessionMiddleware::with(config);
    let server = HttpServer::new(move || {
        App::new()
            .wrap(sessions.clone())
            .wrap(CrossOriginMiddleware::new())
            .configure(routes)
    });
    let server = server.bind(&address)?;
    println!("http://{address}");
    server.run().await?;
    // Brings a file into its resting form; nothing depends on it.
    manager.close().await.map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};

    use super::*;

    #[actix_web::test]
    async fn a_name_is_shown_as_it_was_typed() {
        let sessions = SessionMiddleware::with(configure("memory:").await.unwrap());
        let app = init_service(App::new().wrap(sessions).configure(routes)).await;
        let form = TestRequest::post().uri("/login").set_form([("name", "user:user:bob")]);
        let login = call_service(&app, form.to_request()).await;
        let cookie = login.headers().get(header::SET_COOKIE).unwrap().clone();
        let page = TestRequest::get().uri("/").insert_header((header::COOKIE, cookie));
        let page = call_service(&app, page.to_request()).await;
        let page = String::from_utf8(read_body(page).await.to_vec()).unwrap();
        assert!(page.contains("You are <b>user:user:bob</b>."), "{page}");
    }

    #[actix_web::test]
    async fn presses_count_and_pages_elsewhere_cannot_press() {
        let sessions = SessionMiddleware::with(configure("memory:").await.unwrap());
        let app = App::new().wrap(sessions).wrap(CrossOriginMiddleware::new());
        let app = init_service(app.configure(routes)).await;
        let first = call_service(&app, TestRequest::post().uri("/raise").to_request()).await;
        assert_eq!(first.status(), StatusCode::SEE_OTHER);
        let cookie = first.headers().get(header::SET_COOKIE).unwrap().to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let request = |request: TestRequest| request.insert_header((header::COOKIE, cookie.as_str())).to_request();
        for _ in 0..9 {
            let pressed = call_service(&app, request(TestRequest::post().uri("/raise"))).await;
            assert_eq!(pressed.status(), StatusCode::SEE_OTHER);
        }
        let page = call_service(&app, request(TestRequest::get().uri("/"))).await;
        let page = String::from_utf8(read_body(page).await.to_vec()).unwrap();
        assert!(page.contains("<output>10</output>"), "{page}");

        let foreign = TestRequest::post()
            .uri("/raise")
            .insert_header(("sec-fetch-site", "cross-site"));
        assert_eq!(
            call_service(&app, request(foreign)).await.status(),
            StatusCode::FORBIDDEN
        );
    }
}
