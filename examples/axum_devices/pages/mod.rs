//! What the site looks like: the frame around every page. Maud escapes every value that is put into it.

mod devices;
mod icons;
mod sign_in;
mod trouble;

use maud::{DOCTYPE, Markup, html};

pub(crate) use self::devices::Devices;
pub(crate) use self::sign_in::sign_in;
pub(crate) use self::trouble::trouble;

pub(crate) const STYLE: &str = include_str!("style.css");
pub(crate) const ICON: &str = include_str!("icon.svg");

/// How a page differs from the others.
#[derive(Default)]
struct Frame<'a> {
    title: &'a str,
    /// The name of whoever is signed in.
    name: Option<&'a str>,
    /// Something that has just been done.
    notice: Option<&'a str>,
    /// Whether the browser tries again by itself.
    retries: bool,
}

impl Frame<'_> {
    fn around(&self, main: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if self.retries { meta http-equiv="refresh" content="5; url=/"; }
                    title { (self.title) " · jam" }
                    link rel="icon" href="/icon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/style.css";
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        a.brand href="/" { img src="/icon.svg" alt="" width="28" height="28"; span { "jam" } }
                        @if let Some(name) = self.name {
                            p.who { span.avatar aria-hidden="true" { (name.chars().next().unwrap_or('?')) } span.quiet { "Signed in as " } strong { (name) } }
                            form method="post" action="/sign-out" { button.plain type="submit" { "Sign out" } }
                        }
                    }
                    main #main {
                        @if let Some(notice) = self.notice {
                            p.notice role="status" { (icons::check()) span { (notice) } }
                        }
                        (main)
                    }
                    footer {
                        p { "A demo of jam, server-side sessions for Rust. The cookie holds the session's id; all the rest stays on the server." }
                    }
                }
            }
        }
    }
}
