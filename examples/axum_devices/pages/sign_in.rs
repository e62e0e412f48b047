//! The way in, which is also what a visitor sees.

use maud::{Markup, html};

use super::{Frame, icons};
use crate::accounts::ACCOUNTS;

/// The form; with the name that was tried if it was refused.
pub(crate) fn sign_in(notice: Option<&str>, refused: Option<&str>) -> Markup {
    let main = html! {
        div.welcome {
            div.pitch {
                h1 { "Your devices, in your hands" }
                p.lead { "See where you are signed in, and end any of it with one press. Nothing that has ended comes back." }
            }
            section.card.form aria-labelledby="sign-in" {
                h2 #sign-in { "Sign in" }
                @if refused.is_some() {
                    p.error #wrong role="alert" { "No demo account has this name and password." }
                }
                form method="post" action="/sign-in" {
                    label for="user" { "Name" }
                    input #user name="user" type="text" required autocomplete="username" autocapitalize="none" spellcheck="false"
                        value=[refused] aria-describedby=[refused.map(|_| "wrong")];
                    label for="password" { "Password" }
                    input #password name="password" type="password" required autocomplete="current-password"
                        aria-describedby=[refused.map(|_| "wrong")];
                    label.tick for="remember" {
                        input #remember name="remember" type="checkbox" value="yes";
                        span { "Keep me signed in for 30 days" }
                    }
                    button.strong type="submit" { "Sign in" }
                }
                div.demo {
                    p { strong { "This is a demo account check." } " There are two accounts, and everybody knows their passwords:" }
                    dl {
                        @for account in &ACCOUNTS {
                            div { dt { (account.user) } dd { (account.password) } }
                        }
                    }
                }
            }
            ul.points {
                li { (icons::check()) span { "Until you sign in there is no session here for you, and no cookie." } }
                li { (icons::check()) span { "Sign in from two browsers, then sign one out from the other." } }
                li { (icons::check()) span { "Count in two tabs at once. No step is lost." } }
            }
        }
    };
    let title = if refused.is_some() { "Not signed in" } else { "Sign in" };
    Frame {
        title,
        notice,
        ..Frame::default()
    }
    .around(&main)
}
