//! What each address does. Everything about the session is here; an error of it becomes a response by `?`.

use std::time::Duration;

use axum::Form;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use jam::SessionOptions;
use jam::tower::{Result, Session, User};
use serde::Deserialize;
use serde_json::Value;

use crate::visit::{DeviceLine, Visit};
use crate::{accounts, pages};

/// The ttl of a session that is to last.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// The devices of whoever is signed in, and the way in for everyone else. A visitor gets neither a session nor a cookie.
pub(crate) async fn home(session: Session, query: RawQuery, headers: HeaderMap) -> Result<Response> {
    let Some(user) = session.user().await? else {
        let notice = (query.0.as_deref() == Some(SIGNED_OUT)).then_some("You are signed out.");
        return Ok(pages::sign_in(notice, None).into_response());
    };
    // Written when a field differs, which is once a minute.
    session.merge(Visit::now(&headers)).await?;
    let notice = session.remove("notice").await?;

    let mut lines: Vec<_> = session.list().await?.iter().map(DeviceLine::new).collect();
    lines.sort_by_key(|line| (!line.is_this, std::cmp::Reverse(line.seen)));
    let page = pages::Devices {
        name: accounts::name(user.as_str()),
        lines: &lines,
        count: session.get("count").await?.unwrap_or(0),
        notice: notice.as_ref().and_then(Value::as_str),
    };
    Ok(page.render().into_response())
}

#[derive(Deserialize)]
pub(crate) struct SignIn {
    user: String,
    password: String,
    /// There if the box is ticked.
    remember: Option<String>,
}

/// Checks the password and begins a session: a new id, and nothing left at one that was there before.
pub(crate) async fn sign_in(session: Session, headers: HeaderMap, Form(form): Form<SignIn>) -> Result<Response> {
    let Some(account) = accounts::check(&form.user, &form.password) else {
        let page = pages::sign_in(None, Some(&form.user));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    };
    let mut options = SessionOptions::new();
    if form.remember.is_some() {
        options = options.ttl(REMEMBERED);
    }
    session.login_with(account.user, options).await?;
    session.merge(Visit::now(&headers)).await?;
    Ok(to_home())
}

/// What the address says after signing out, when there is no session left to say it.
const SIGNED_OUT: &str = "signed-out";

/// Ends this session.
pub(crate) async fn sign_out(session: Session) -> Result<Redirect> {
    session.logout().await?;
    Ok(Redirect::to(&format!("/?{SIGNED_OUT}")))
}

#[derive(Deserialize)]
pub(crate) struct Revoke {
    handle: String,
}

/// Ends one session of this user, by its handle.
pub(crate) async fn revoke(session: Session, _: User, Form(form): Form<Revoke>) -> Result<Response> {
    let lines: Vec<_> = session.list().await?.iter().map(DeviceLine::new).collect();
    let line = lines.iter().find(|line| line.handle == form.handle);
    if line.is_some_and(|line| line.is_this) {
        // The page has another button for this one; a session that has ended can say nothing more.
        return sign_out(session).await.map(Redirect::into_response);
    }
    let notice = match (session.revoke(&form.handle).await?, line) {
        (true, Some(line)) => format!("{} is signed out.", line.browser().name()),
        _ => "That device was signed out already.".to_owned(),
    };
    session.insert("notice", notice).await?;
    Ok(to_home())
}

/// Ends every session of this user but this one.
pub(crate) async fn revoke_others(session: Session, _: User) -> Result<Response> {
    let notice = match session.clear_others().await? {
        0 => "There was no other device.".to_owned(),
        1 => "One other device is signed out.".to_owned(),
        ended => format!("{ended} other devices are signed out."),
    };
    session.insert("notice", notice).await?;
    Ok(to_home())
}

/// One step more. `modify` works on the newest data, so two tabs at once make two steps.
pub(crate) async fn count(session: Session, _: User) -> Result<Redirect> {
    session
        .modify(|data| {
            let count = data.get("count").and_then(Value::as_u64).unwrap_or(0);
            data.insert("count".into(), (count + 1).into());
        })
        .await?;
    Ok(Redirect::to("/#counter"))
}

/// A form is answered by a page to get (303), so that loading it again sends nothing again.
fn to_home() -> Response {
    Redirect::to("/").into_response()
}
